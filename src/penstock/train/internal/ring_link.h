// A rank's two connections of a ring: one message out and one in, at the same time.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "penstock/core/result.h"
#include "penstock/train/internal/rendezvous.h"
#include "penstock/train/link_clock.h"

namespace penstock::train::internal {

// What an exchange still waits for.
struct Awaited {
  bool is_sending = false;
  bool is_receiving = false;
  std::int64_t release_ns = 0;  // of what was received, on a limited link
};
// How long it may sleep where no socket wakes it, at most `period_ns`. Nothing, once all has come
// and its time is past, which may happen between two looks at the clock.
std::int64_t sleep_of(const Awaited& awaited, std::int64_t now_ns, std::int64_t period_ns);

class RingLink {
 public:
  RingLink(Neighbours neighbours, const RingOptions& options);
  RingLink(RingLink&&) = delete;
  ~RingLink();

  struct Message {
    std::int64_t sum = 0;    // which sum of the run, and how many floats it has:
    std::int64_t count = 0;  // both sides must agree
    float* data = nullptr;   // sent, or received into
    std::size_t floats = 0;
  };
  // Sends `out` and receives `in`, which is added to its place or replaces what is there. Returns
  // when, on the limited link's own clock, `in` had arrived; `ready_ns` is when `out` was ready on
  // it. Later exchanges go on from there, so that waking up late adds nothing to the link's time.
  Result<std::int64_t> exchange(const Message& out, const Message& in, bool add,
                                std::int64_t ready_ns);
  // Peers may be busy as long as this rank was, and longer where the machine is shared.
  void expect_pause(std::int64_t pause_ns);
  // Makes an exchange that waits in another thread fail.
  void interrupt();
  // Tells the next rank why this one gives up.
  void tell(const Error& error);

  std::int64_t sent_bytes() const { return sent_bytes_; }
  std::int64_t received_bytes() const { return received_bytes_; }

 private:
  enum class Kind : std::int32_t { kData, kWaiting, kSleeping, kFailed };
  struct Header {
    Kind kind = Kind::kData;
    std::int32_t rank = 0;  // kWaiting: for whom
    std::int64_t pid = 0;
    std::int64_t sum = 0;
    std::int64_t count = 0;
    std::int64_t bytes = 0;  // that follow
    std::int64_t ready_ns = 0;
  };
  struct Sending {
    std::string header;  // and what else goes before the payload
    const char* payload = nullptr;
    std::size_t header_sent = 0;
    std::size_t payload_left = 0;
    bool done() const { return header_sent == header.size() && payload_left == 0; }
  };
  struct Receiving {
    Message message;
    bool add = false;
    Header header;
    std::size_t header_bytes = 0;
    std::size_t payload_bytes = 0;
    bool done = false;
    std::int64_t arrived_ns = 0;
    std::int64_t release_ns = 0;
  };

  Status send_some();
  Status receive_some();
  Status receive_header();
  Status receive_payload();
  Status header_complete();
  Status failed_peer(std::size_t bytes);
  void add_received(std::size_t bytes);
  Status wait_for_sockets();
  Status check_patience(std::int64_t now_ns);
  void send_sign_of_life(std::int64_t now_ns);
  Status next_has_gone();
  bool complete(std::int64_t now_ns) const;

  Neighbours neighbours_;
  LinkClock clock_;
  bool limited_;
  Seconds patience_;
  std::int64_t period_ns_;  // of signs of life
  int wake_;
  Sending out_;
  Receiving in_;
  std::vector<char> scratch_;
  std::int64_t progress_ns_ = 0;
  std::int64_t sign_sent_ns_ = 0;
  std::int64_t sign_heard_ns_ = 0;
  Peer awaited_by_previous_;
  std::atomic<std::int64_t> sent_bytes_{0};
  std::atomic<std::int64_t> received_bytes_{0};
};

}  // namespace penstock::train::internal
