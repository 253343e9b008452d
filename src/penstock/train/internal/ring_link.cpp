#include "penstock/train/internal/ring_link.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <ctime>

#include "penstock/core/clock.h"
#include "penstock/core/quantity.h"

namespace penstock::train::internal {
namespace {

// How long a rank whose peer has gone listens for the reason before it blames that peer.
constexpr std::int64_t kReasonNs = 1'000'000'000;
// Pieces that are added while they are still in the cache.
constexpr std::size_t kPieceBytes = 256 << 10;
constexpr int kSignsPerPatience = 20;
constexpr double kPausesPerPatience = 3;

bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

std::string bytes_of(const auto& value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof(value));
}

bool is_limited(const RingOptions& options, int previous) {
  if (options.limit.rate.value() <= 0 && options.limit.delay.value() <= 0) return false;
  const std::vector<int>& node = options.node_of_rank;
  return node.empty() ||
         node[static_cast<std::size_t>(previous)] != node[static_cast<std::size_t>(options.rank)];
}

}  // namespace

std::int64_t sleep_of(const Awaited& awaited, std::int64_t now_ns, std::int64_t period_ns) {
  if (awaited.is_receiving) return period_ns;
  const std::int64_t left_ns = awaited.release_ns - now_ns;
  if (left_ns > 0) return std::min(period_ns, left_ns);
  return awaited.is_sending ? period_ns : 0;
}

RingLink::RingLink(Neighbours neighbours, const RingOptions& options)
    : neighbours_(std::move(neighbours)),
      clock_(options.limit),
      limited_(is_limited(options, neighbours_.previous.rank)),
      patience_(options.patience),
      period_ns_(static_cast<std::int64_t>(options.patience.value() * 1e9 / kSignsPerPatience)),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      scratch_(kPieceBytes) {}

RingLink::~RingLink() { ::close(wake_); }

void RingLink::expect_pause(std::int64_t pause_ns) {
  patience_ =
      std::max(patience_, Seconds(kPausesPerPatience * static_cast<double>(pause_ns) * 1e-9));
}

void RingLink::interrupt() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(wake_, &one, sizeof(one));
}

Result<std::int64_t> RingLink::exchange(const Message& out, const Message& in, bool add,
                                        std::int64_t ready_ns) {
  Header header;
  header.sum = out.sum;
  header.count = out.count;
  header.bytes = static_cast<std::int64_t>(out.floats * sizeof(float));
  header.ready_ns = ready_ns;
  out_.header = out_.header.substr(out_.header_sent) + bytes_of(header);
  out_.header_sent = 0;
  out_.payload = reinterpret_cast<const char*>(out.data);
  out_.payload_left = out.floats * sizeof(float);
  in_ = Receiving();
  in_.message = in;
  in_.add = add;
  progress_ns_ = sign_sent_ns_ = core::now_ns();

  while (true) {
    PENSTOCK_TRY_STATUS(send_some());
    PENSTOCK_TRY_STATUS(receive_some());
    const std::int64_t now_ns = core::now_ns();
    if (complete(now_ns)) break;
    PENSTOCK_TRY_STATUS(check_patience(now_ns));
    send_sign_of_life(now_ns);
    PENSTOCK_TRY_STATUS(wait_for_sockets());
  }
  return std::max(in_.release_ns, in_.arrived_ns);
}

bool RingLink::complete(std::int64_t now_ns) const {
  return out_.done() && in_.done && now_ns >= in_.release_ns;
}

Status RingLink::send_some() {
  while (!out_.done()) {
    iovec parts[2] = {
        {out_.header.data() + out_.header_sent, out_.header.size() - out_.header_sent},
        {const_cast<char*>(out_.payload), out_.payload_left}};
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = 2;
    const ssize_t sent =
        ::sendmsg(neighbours_.to_next.descriptor(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && would_block(errno)) return {};
    if (sent < 0) return next_has_gone();
    const auto bytes = static_cast<std::size_t>(sent);
    const std::size_t of_header = std::min(bytes, parts[0].iov_len);
    const std::size_t of_payload = bytes - of_header;
    out_.header_sent += of_header;
    out_.payload += of_payload;
    out_.payload_left -= of_payload;
    sent_bytes_ += static_cast<std::int64_t>(of_payload);
    if (of_payload > 0) progress_ns_ = core::now_ns();
  }
  return {};
}

// Reads what is there; the kernel hands over less than asked for only when it has no more.
Status RingLink::receive_some() {
  while (!in_.done) {
    const std::size_t before = in_.header_bytes + in_.payload_bytes;
    const bool in_header = in_.header_bytes < sizeof(Header);
    PENSTOCK_TRY_STATUS(in_header ? receive_header() : receive_payload());
    if (in_.done || in_.header_bytes + in_.payload_bytes == before) return {};
  }
  return {};
}

Status RingLink::receive_header() {
  char* at = reinterpret_cast<char*>(&in_.header) + in_.header_bytes;
  const ssize_t received = ::recv(neighbours_.from_previous.descriptor(), at,
                                  sizeof(Header) - in_.header_bytes, MSG_DONTWAIT);
  if (received < 0 && would_block(errno)) return {};
  if (received <= 0) {
    return core::negative("", to_text(neighbours_.previous) + " has ended in the middle of a sum");
  }
  in_.header_bytes += static_cast<std::size_t>(received);
  return in_.header_bytes == sizeof(Header) ? header_complete() : Status();
}

Status RingLink::header_complete() {
  const Header& header = in_.header;
  if (header.kind == Kind::kFailed) return failed_peer(static_cast<std::size_t>(header.bytes));
  if (header.kind != Kind::kData) {
    sign_heard_ns_ = core::now_ns();
    awaited_by_previous_ = {header.rank, header.pid};
    if (header.kind == Kind::kSleeping) {
      sign_heard_ns_ = 0;
      progress_ns_ = core::now_ns();
    }
    in_.header_bytes = 0;
    return {};
  }
  sign_heard_ns_ = 0;
  const Message& message = in_.message;
  if (header.sum != message.sum || header.count != message.count ||
      header.bytes != static_cast<std::int64_t>(message.floats * sizeof(float))) {
    return core::negative("",
                          fmt::format("{} sums {} floats where this rank sums {}",
                                      to_text(neighbours_.previous), header.count, message.count),
                          "every rank has to start the same sums in the same order");
  }
  if (message.floats == 0) return receive_payload();
  return {};
}

Status RingLink::receive_payload() {
  const std::size_t size = in_.message.floats * sizeof(float);
  if (in_.payload_bytes < size) {
    // What is added goes by way of a buffer that stays in the cache, behind the bytes of a float
    // that is not whole yet.
    const std::size_t carried = in_.add ? in_.payload_bytes % sizeof(float) : 0;
    char* to = in_.add ? scratch_.data() + carried
                       : reinterpret_cast<char*>(in_.message.data) + in_.payload_bytes;
    const std::size_t room = in_.add ? scratch_.size() - carried : size;
    const ssize_t received = ::recv(neighbours_.from_previous.descriptor(), to,
                                    std::min(size - in_.payload_bytes, room), MSG_DONTWAIT);
    if (received < 0 && would_block(errno)) return {};
    if (received <= 0) {
      return core::negative("",
                            to_text(neighbours_.previous) + " has ended in the middle of a sum");
    }
    if (in_.add) add_received(carried + static_cast<std::size_t>(received));
    in_.payload_bytes += static_cast<std::size_t>(received);
    received_bytes_ += received;
    progress_ns_ = core::now_ns();
  }
  if (in_.payload_bytes == size) {
    in_.done = true;
    in_.arrived_ns = core::now_ns();
    if (limited_) in_.release_ns = clock_.deliver(in_.header.ready_ns, in_.header.bytes);
  }
  return {};
}

// Adds the whole floats of the buffer, and moves what is left to its front.
void RingLink::add_received(std::size_t bytes) {
  float* to = in_.message.data + in_.payload_bytes / sizeof(float);
  const std::size_t whole = bytes / sizeof(float);
  for (std::size_t i = 0; i < whole; ++i) {
    float value = 0;
    std::memcpy(&value, scratch_.data() + i * sizeof(float), sizeof(float));
    to[i] += value;
  }
  std::memmove(scratch_.data(), scratch_.data() + whole * sizeof(float), bytes % sizeof(float));
}

// The previous rank gives up and says why; so does this one.
Status RingLink::failed_peer(std::size_t bytes) {
  std::string reason(std::min<std::size_t>(bytes, 4096), ' ');
  const Status status = receive_bytes(neighbours_.from_previous, reason.data(), reason.size(),
                                      deadline_after(Seconds(1)), to_text(neighbours_.previous));
  return core::negative("", status ? reason : status.error().text());
}

// The next rank's connection is broken. It may have given up because of a third rank, which then is
// the one to name: the reason comes around the ring.
Status RingLink::next_has_gone() {
  const std::int64_t until_ns = core::now_ns() + kReasonNs;
  while (!in_.done && core::now_ns() < until_ns) {
    pollfd wanted = {neighbours_.from_previous.descriptor(), POLLIN, 0};
    ::poll(&wanted, 1, 50);
    PENSTOCK_TRY_STATUS(receive_some());
  }
  return core::negative("", to_text(neighbours_.next) + " has ended in the middle of a sum");
}

Status RingLink::wait_for_sockets() {
  pollfd wanted[3] = {{wake_, POLLIN, 0}, {-1, POLLOUT, 0}, {-1, POLLIN, 0}};
  if (!out_.done()) wanted[1].fd = neighbours_.to_next.descriptor();
  if (!in_.done) wanted[2].fd = neighbours_.from_previous.descriptor();
  const std::int64_t sleep_ns =
      sleep_of({!out_.done(), !in_.done, in_.release_ns}, core::now_ns(), period_ns_);
  const timespec timeout = {sleep_ns / 1'000'000'000, sleep_ns % 1'000'000'000};
  if (::ppoll(wanted, 3, &timeout, nullptr) > 0 && (wanted[0].revents & POLLIN) != 0) {
    return core::negative("", "the ring was closed in the middle of a sum");
  }
  return {};
}

Status RingLink::check_patience(std::int64_t now_ns) {
  if (in_.done && out_.done()) return {};
  if (static_cast<double>(now_ns - progress_ns_) < patience_.value() * 1e9) return {};
  Peer peer = neighbours_.next;
  if (!in_.done) {
    // A neighbour that says it waits itself is alive, and knows whom to blame.
    const bool alive = sign_heard_ns_ > 0 && now_ns - sign_heard_ns_ < 3 * period_ns_;
    peer = alive ? awaited_by_previous_ : neighbours_.previous;
  }
  return core::negative("", fmt::format("{} does not answer: nothing came for {}", to_text(peer),
                                        core::format_quantity(patience_)));
}

void RingLink::send_sign_of_life(std::int64_t now_ns) {
  if (!out_.done() || now_ns - sign_sent_ns_ < period_ns_) return;
  sign_sent_ns_ = now_ns;
  Header header;
  header.kind = in_.done ? Kind::kSleeping : Kind::kWaiting;
  const bool previous_waits = sign_heard_ns_ > 0 && now_ns - sign_heard_ns_ < 3 * period_ns_;
  const Peer& peer = previous_waits ? awaited_by_previous_ : neighbours_.previous;
  header.rank = peer.rank;
  header.pid = peer.pid;
  out_.header = bytes_of(header);
  out_.header_sent = 0;
}

void RingLink::tell(const Error& error) {
  const std::string reason = error.message;
  Header header;
  header.kind = Kind::kFailed;
  header.bytes = static_cast<std::int64_t>(reason.size());
  // The message that is under way has to end first, but not at any price.
  const std::int64_t until_ns = core::now_ns() + kReasonNs;
  std::string rest = out_.header.substr(out_.header_sent);
  if (out_.payload_left > 0) rest.append(out_.payload, out_.payload_left);
  rest += bytes_of(header) + reason;
  for (std::size_t at = 0; at < rest.size() && core::now_ns() < until_ns;) {
    pollfd wanted = {neighbours_.to_next.descriptor(), POLLOUT, 0};
    ::poll(&wanted, 1, 50);
    const ssize_t sent = ::send(neighbours_.to_next.descriptor(), rest.data() + at,
                                rest.size() - at, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && !would_block(errno)) return;
    if (sent > 0) at += static_cast<std::size_t>(sent);
  }
}

}  // namespace penstock::train::internal
