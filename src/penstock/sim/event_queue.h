// What happens next: events in the order of their time, and of scheduling where times are equal.
//
//   EventQueue<Finish> events;
//   events.schedule(events.now() + duration_of(Seconds(2)), Finish{.job = 3});
//   while (!events.empty()) {
//     const Finish finish = events.pop();   // the clock, events.now(), is at its time
//   }
//
// The event is a plain value of the simulation's own, a variant where there are several kinds; a
// call through a pointer for each would cost more than the heap.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "penstock/core/check.h"
#include "penstock/sim/clock.h"

namespace penstock::sim {

template <typename Event>
class EventQueue {
 public:
  // `at` must not lie in the past.
  void schedule(Time at, Event event) {
    PENSTOCK_CHECK(at.ns >= now_.ns);
    heap_.push_back({at, sequence_++, std::move(event)});
    std::push_heap(heap_.begin(), heap_.end(), later);
  }
  // The next event; moves the clock to its time. The queue must not be empty.
  Event pop() {
    Entry entry = take();
    now_ = entry.at;
    return std::move(entry.event);
  }
  // Takes the next event out and leaves the clock alone: for one that something has overtaken.
  Event discard() { return take().event; }
  bool empty() const { return heap_.empty(); }
  std::size_t size() const { return heap_.size(); }
  Time now() const { return now_; }
  // The next event and its time; the queue must not be empty.
  const Event& next() const { return heap_.front().event; }
  Time next_time() const { return heap_.front().at; }

 private:
  struct Entry {
    Time at;
    std::uint64_t sequence;
    Event event;
  };
  Entry take() {
    PENSTOCK_CHECK(!heap_.empty());
    std::pop_heap(heap_.begin(), heap_.end(), later);
    Entry entry = std::move(heap_.back());
    heap_.pop_back();
    return entry;
  }
  static bool later(const Entry& a, const Entry& b) {
    return a.at != b.at ? a.at > b.at : a.sequence > b.sequence;
  }

  std::vector<Entry> heap_;
  std::uint64_t sequence_ = 0;
  Time now_;
};

}  // namespace penstock::sim
