#include "penstock/train/ring.h"

#include <fmt/format.h>
#include <sys/prctl.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>

#include "penstock/core/clock.h"
#include "penstock/train/internal/rendezvous.h"
#include "penstock/train/internal/ring_link.h"

namespace penstock::train {
namespace {

using internal::RingLink;

struct Part {
  std::size_t begin = 0;
  std::size_t size = 0;
};

// Part `index` of `count` floats over `parts`, of which the first ones are one float longer.
Part part_of(std::size_t count, int parts, int index) {
  const auto n = static_cast<std::size_t>(parts);
  const auto i = static_cast<std::size_t>((index % parts + parts) % parts);
  const std::size_t rest = count % n;
  return {i * (count / n) + std::min(i, rest), count / n + (i < rest ? 1 : 0)};
}

// The sum over one rank.
class LoneRank final : public Collective {
 public:
  std::int64_t start_sum(float*, std::size_t) override { return ++tickets_; }
  Status wait(std::int64_t) override { return {}; }
  Status barrier() override { return {}; }
  std::int64_t sent_bytes() const override { return 0; }
  std::int64_t received_bytes() const override { return 0; }

 private:
  std::int64_t tickets_ = 0;
};

class Ring final : public Collective {
 public:
  Ring(internal::Neighbours neighbours, const RingOptions& options)
      : rank_(options.rank),
        world_(options.world),
        link_(std::move(neighbours), options),
        thread_([this] { work(); }) {}

  ~Ring() override {
    {
      const std::lock_guard lock(mutex_);
      closing_ = true;
    }
    link_.interrupt();
    changed_.notify_all();
    thread_.join();
  }

  std::int64_t start_sum(float* data, std::size_t count) override {
    const std::lock_guard lock(mutex_);
    sums_.push_back({data, count, ++started_, core::now_ns()});
    changed_.notify_all();
    return started_;
  }

  Status wait(std::int64_t ticket) override {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return finished_ >= ticket || error_.has_value(); });
    if (finished_ >= ticket) return {};
    return core::fail(*error_);
  }

  // A sum of nothing: after 2(n-1) empty messages everybody has heard of everybody.
  Status barrier() override { return wait(start_sum(nullptr, 0)); }

  std::int64_t sent_bytes() const override { return link_.sent_bytes(); }
  std::int64_t received_bytes() const override { return link_.received_bytes(); }

 private:
  struct Sum {
    float* data = nullptr;
    std::size_t count = 0;
    std::int64_t ticket = 0;
    std::int64_t asked_ns = 0;
  };

  std::optional<Sum> next_sum() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return closing_ || !sums_.empty(); });
    if (closing_) return std::nullopt;
    const Sum sum = sums_.front();
    sums_.pop_front();
    return sum;
  }

  void work() {
    // Wakes up on time: the default slack of 50 us is as long as a fast link's delay.
    ::prctl(PR_SET_TIMERSLACK, 1000UL, 0UL, 0UL, 0UL);
    std::int64_t ended_ns = core::now_ns();
    while (const std::optional<Sum> sum = next_sum()) {
      link_.expect_pause(core::now_ns() - ended_ns);
      const Status status = all_reduce(*sum);
      ended_ns = core::now_ns();
      if (!status) link_.tell(status.error());
      const std::lock_guard lock(mutex_);
      if (status) {
        finished_ = sum->ticket;
      } else {
        error_ = status.error();
      }
      changed_.notify_all();
      if (!status) return;
    }
  }

  Status all_reduce(const Sum& sum) {
    // On the link's clock: a sum that waited begins when the one before it was through there, not
    // when this thread got a processor again.
    std::int64_t ready_ns = std::max(sum.asked_ns, link_free_ns_);
    for (int step = 0; step < world_ - 1; ++step) {
      PENSTOCK_TRY_STATUS(exchange(sum, rank_ - step, true, &ready_ns));
    }
    for (int step = 0; step < world_ - 1; ++step) {
      PENSTOCK_TRY_STATUS(exchange(sum, rank_ + 1 - step, false, &ready_ns));
    }
    link_free_ns_ = ready_ns;
    return {};
  }

  // Sends part `sent` and receives the one before it.
  Status exchange(const Sum& sum, int sent, bool add, std::int64_t* ready_ns) {
    const auto message = [&](int index) {
      const Part part = part_of(sum.count, world_, index);
      return RingLink::Message{.sum = sum.ticket,
                               .count = static_cast<std::int64_t>(sum.count),
                               .data = sum.data + part.begin,
                               .floats = part.size};
    };
    PENSTOCK_TRY(*ready_ns, link_.exchange(message(sent), message(sent - 1), add, *ready_ns));
    return {};
  }

  const int rank_;
  const int world_;
  RingLink link_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Sum> sums_;
  std::int64_t link_free_ns_ = 0;  // the thread's
  std::int64_t started_ = 0;
  std::int64_t finished_ = 0;
  std::optional<Error> error_;
  bool closing_ = false;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace

RingOptions ring_options(const Job& job) {
  return {.rank = job.rank,
          .world = job.world,
          .rendezvous = job.rendezvous,
          .interface = job.interface,
          .node_of_rank = job.node_of_rank,
          .limit = job.limit};
}

Result<std::unique_ptr<Collective>> connect_ring(const RingOptions& options) {
  if (options.world == 1) return std::make_unique<LoneRank>();
  PENSTOCK_TRY(internal::Neighbours neighbours, internal::meet(options));
  return std::make_unique<Ring>(std::move(neighbours), options);
}

}  // namespace penstock::train
