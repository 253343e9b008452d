// penstock-test-job: a training job without its training. It "computes" for a while and exchanges
// real bytes with its other nodes through a rate limit for each tier, so that where it lies truly
// changes how fast it is. It saves itself after every iteration and on SIGTERM, and goes on from
// there.
//
//   srun --ntasks=$SLURM_NNODES --ntasks-per-node=1 penstock-test-job folder=/shared/jobs
//        iterations=100 compute=100ms bytes=2MB node=100MB/s rack=20MB/s network=10MB/s
//
// One process a node. They find each other through files in `folder`, which must be on a file
// system that all nodes see, and form a ring.
#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "penstock/core/clock.h"
#include "penstock/core/file.h"
#include "penstock/core/quantity.h"
#include "penstock/core/result.h"

namespace penstock::cluster {
namespace {

constexpr std::int64_t kMillisecond = 1'000'000;
constexpr std::int64_t kRendezvousLimit = 60'000 * kMillisecond;
constexpr std::size_t kChunk = 65536;

volatile std::sig_atomic_t end_asked = 0;

struct Options {
  std::string folder;
  std::int64_t iterations = 100;
  Seconds compute{0.1};
  Bytes bytes{1e6};
  Bandwidth node{1e9};
  Bandwidth rack{1e9};
  Bandwidth network{1e9};
};

template <typename Q>
Status read_quantity(const std::string& key, const std::string& text, Q& value) {
  auto read = core::parse_quantity<Q>(text);
  if (!read) return core::input_error(key, read.error().message);
  if (!(read->value() > 0)) return core::input_error(key, text + " is not above zero");
  value = *read;
  return {};
}

Result<Options> read_options(int count, char** words) {
  Options options;
  for (int i = 1; i < count; ++i) {
    const std::string word = words[i];
    const std::size_t equals = std::min(word.find('='), word.size() - 1);
    const std::string key = word.substr(0, equals);
    const std::string text = word.substr(equals + 1);
    if (key == "folder") {
      options.folder = text;
    } else if (key == "iterations") {
      options.iterations = std::strtoll(text.c_str(), nullptr, 10);
    } else if (key == "compute") {
      PENSTOCK_TRY_STATUS(read_quantity(key, text, options.compute));
    } else if (key == "bytes") {
      PENSTOCK_TRY_STATUS(read_quantity(key, text, options.bytes));
    } else if (key == "node") {
      PENSTOCK_TRY_STATUS(read_quantity(key, text, options.node));
    } else if (key == "rack") {
      PENSTOCK_TRY_STATUS(read_quantity(key, text, options.rack));
    } else if (key == "network") {
      PENSTOCK_TRY_STATUS(read_quantity(key, text, options.network));
    } else {
      return core::input_error(word, "is not understood",
                               "use folder, iterations, compute, bytes, node, rack, network");
    }
  }
  if (options.folder.empty()) return core::input_error("folder", "is missing");
  if (options.iterations < 1) return core::input_error("iterations", "is not above zero");
  return options;
}

std::string environment(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : value;
}

// What this process is among those of its job.
struct Member {
  std::string job = environment("SLURM_JOB_ID", "0");
  std::string restart = environment("SLURM_RESTART_COUNT", "0");
  int rank = std::atoi(environment("SLURM_PROCID", "0").c_str());
  int size = std::max(1, std::atoi(environment("SLURM_NTASKS", "1").c_str()));
  // "spine.rack2.node07"
  std::string place = environment("SLURM_TOPOLOGY_ADDR", "spine.rack.node");
};

std::string rack_of(const std::string& place) { return place.substr(0, place.rfind('.')); }

tl::unexpected<Error> system_error(const std::string& what) {
  return core::missing_error(what, std::strerror(errno));
}

class Ring {
 public:
  static Result<Ring> join(const Options& options, const Member& me) {
    Ring ring;
    if (me.size == 1) return ring;
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    socklen_t length = sizeof address;
    if (::bind(listener, reinterpret_cast<sockaddr*>(&address), length) != 0 ||
        ::listen(listener, 4) != 0 ||
        ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
      return system_error("socket");
    }
    const std::string folder = fmt::format("{}/{}.{}", options.folder, me.job, me.restart);
    ::mkdir(folder.c_str(), 0700);
    std::array<char, 256> host{};
    ::gethostname(host.data(), host.size() - 1);
    PENSTOCK_TRY_STATUS(
        core::write_file(fmt::format("{}/{}", folder, me.rank),
                         fmt::format("{} {} {}", host.data(), ntohs(address.sin_port), me.place)));
    const int next = (me.rank + 1) % me.size;
    PENSTOCK_TRY(const Peer peer, find(fmt::format("{}/{}", folder, next)));
    ring.crosses_racks_ = rack_of(peer.place) != rack_of(me.place);
    PENSTOCK_TRY(ring.out_, connect_to(peer));
    ring.in_ = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    ::close(listener);
    if (ring.in_ < 0) return system_error("accept");
    ::fcntl(ring.out_, F_SETFL, O_NONBLOCK);
    ::fcntl(ring.in_, F_SETFL, O_NONBLOCK);
    return ring;
  }
  bool is_alone() const { return out_ < 0; }
  bool crosses_racks() const { return crosses_racks_; }

  // Sends so many bytes on at no more than `rate`, and takes as many from behind.
  Status exchange(std::int64_t bytes, Bandwidth rate) {
    const std::vector<char> chunk(kChunk);
    std::vector<char> sink(kChunk);
    const std::int64_t begin = core::now_ns();
    std::int64_t sent = 0;
    for (std::int64_t got = 0; got < bytes || sent < bytes;) {
      const double passed = double(core::now_ns() - begin) / 1e9;
      const std::int64_t allowed = std::min(bytes, std::int64_t(passed * rate.value()) + 1) - sent;
      const bool may_send = allowed > 0;
      std::array<pollfd, 2> ends = {pollfd{in_, short(got < bytes ? POLLIN : 0), 0},
                                    pollfd{out_, short(may_send ? POLLOUT : 0), 0}};
      if (::poll(ends.data(), ends.size(), may_send || sent == bytes ? 200 : 2) < 0 &&
          errno != EINTR) {
        return system_error("poll");
      }
      if (end_asked != 0) return {};
      if (may_send && (ends[1].revents & (POLLOUT | POLLERR | POLLHUP)) != 0) {
        const ssize_t count = ::send(
            out_, chunk.data(), std::min<std::size_t>(kChunk, std::size_t(allowed)), MSG_NOSIGNAL);
        if (count < 0 && errno != EAGAIN && errno != EINTR) return system_error("send");
        sent += std::max<ssize_t>(count, 0);
      }
      if ((ends[0].revents & (POLLIN | POLLERR | POLLHUP)) != 0) {
        const ssize_t count =
            ::recv(in_, sink.data(), std::min<std::size_t>(kChunk, std::size_t(bytes - got)), 0);
        if (count == 0) return core::missing_error("ring", "the rank before has gone");
        if (count < 0 && errno != EAGAIN && errno != EINTR) return system_error("recv");
        got += std::max<ssize_t>(count, 0);
      }
    }
    return {};
  }

 private:
  struct Peer {
    std::string host;
    std::string port;
    std::string place;
  };
  static Result<Peer> find(const std::string& path) {
    const std::int64_t limit = core::now_ns() + kRendezvousLimit;
    while (core::now_ns() < limit && end_asked == 0) {
      const Result<std::string> text = core::read_file(path);
      if (text) {
        const std::size_t first = text->find(' ');
        const std::size_t second = text->find(' ', first + 1);
        return Peer{text->substr(0, first), text->substr(first + 1, second - first - 1),
                    text->substr(second + 1)};
      }
      core::wait_until_ns(core::now_ns() + 20 * kMillisecond);
    }
    return core::missing_error(path, "the other ranks do not come");
  }
  static Result<int> connect_to(const Peer& peer) {
    addrinfo hints = {};
    hints.ai_family = AF_INET;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    std::array<char, 256> host{};
    ::gethostname(host.data(), host.size() - 1);
    const std::string name = peer.host == host.data() ? "127.0.0.1" : peer.host;
    if (::getaddrinfo(name.c_str(), peer.port.c_str(), &hints, &found) != 0) {
      return core::missing_error(peer.host, "has no address");
    }
    const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int failure = ::connect(descriptor, found->ai_addr, found->ai_addrlen);
    ::freeaddrinfo(found);
    if (failure != 0) return system_error(peer.host);
    return descriptor;
  }

  int out_ = -1;
  int in_ = -1;
  bool crosses_racks_ = false;
};

std::int64_t read_progress(const std::string& path) {
  const Result<std::string> text = core::read_file(path);
  return text ? std::strtoll(text->c_str(), nullptr, 10) : 0;
}

Status train(const Options& options, const Member& me, Ring& ring, const std::string& progress,
             std::int64_t done) {
  const auto bytes = std::int64_t(options.bytes.value());
  const auto compute = std::int64_t(options.compute.value() * 1e9);
  const Bandwidth rate = ring.is_alone()        ? options.node
                         : ring.crosses_racks() ? options.network
                                                : options.rack;
  while (done < options.iterations && end_asked == 0) {
    const std::int64_t begin = core::now_ns();
    core::wait_until_ns(begin + compute);
    if (end_asked != 0) break;
    if (ring.is_alone()) {
      core::wait_until_ns(begin + compute + std::int64_t((options.bytes / rate).value() * 1e9));
    } else {
      PENSTOCK_TRY_STATUS(ring.exchange(bytes, rate));
    }
    if (end_asked != 0) break;
    ++done;
    if (me.rank == 0) PENSTOCK_TRY_STATUS(core::write_file(progress, std::to_string(done)));
  }
  if (done < options.iterations || me.rank != 0) return {};
  // Whoever counts these lines sees a job that ran twice.
  const std::string list = options.folder + "/done";
  const int file = ::open(list.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  const std::string line = fmt::format("{} {} {}\n", me.job, me.restart, done);
  if (file < 0 || ::write(file, line.data(), line.size()) != ssize_t(line.size())) {
    return system_error(list);
  }
  ::close(file);
  return {};
}

Status run(int count, char** words) {
  PENSTOCK_TRY(const Options options, read_options(count, words));
  const Member me;
  const std::string progress = fmt::format("{}/{}.progress", options.folder, me.job);
  // Before the others can find this rank, so that all begin with the same number.
  const std::int64_t done = read_progress(progress);
  PENSTOCK_TRY(Ring ring, Ring::join(options, me));
  return train(options, me, ring, progress, done);
}

}  // namespace
}  // namespace penstock::cluster

int main(int count, char** words) {
  struct sigaction action = {};
  action.sa_handler = [](int) { penstock::cluster::end_asked = 1; };
  ::sigaction(SIGTERM, &action, nullptr);
  const penstock::Status status = penstock::cluster::run(count, words);
  if (!status) {
    fmt::print(stderr, "penstock-test-job: {}\n", status.error().text());
    return int(status.error().kind);
  }
  return penstock::cluster::end_asked != 0 ? 128 + SIGTERM : 0;
}
