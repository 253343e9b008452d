#include "penstock/train/network.h"

#include <dirent.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "penstock/core/file.h"
#include "penstock/train/internal/child_process.h"

namespace penstock::train {
namespace {

using internal::run_program;

constexpr std::string_view kPrefix = "penstock-";
constexpr const char* kNetworkNamespaces = "/run/netns";
constexpr int kMostNodes = 250;

// Larger packets than this would go over a slow link in lumps that show as delay.
constexpr int kPacketBytes = 16 << 10;
// What a filter lets through at once after a pause. A large burst makes short messages free; a
// small one starves the link whenever the kernel's timer is late.
constexpr double kBurstSeconds = 250e-6;

// Numbers the namespaces that this process makes.
std::atomic<int> next_number{0};

// `ip` and `tc` lie where a user's path does not always lead.
Result<std::string> network_tool(const std::string& name) {
  for (const char* folder : {"/usr/sbin/", "/sbin/", "/usr/bin/", "/bin/"}) {
    if (::access((folder + name).c_str(), X_OK) == 0) return folder + name;
  }
  return core::missing_error(name, "this program is not installed",
                             "get it with: apt-get install iproute2");
}

// Runs `ip` or `tc` with the words of a line.
Status configure(const std::string& line) {
  std::vector<std::string> words;
  for (std::size_t at = 0; at < line.size();) {
    const std::size_t end = std::min(line.find(' ', at), line.size());
    words.push_back(line.substr(at, end - at));
    at = end + 1;
  }
  PENSTOCK_TRY(words.front(), network_tool(words.front()));
  PENSTOCK_TRY(const std::string output, run_program(words));
  return {};
}

std::string new_namespace_name() {
  return fmt::format("{}{}-{}", kPrefix, ::getpid(), next_number++);
}

// The process that made a namespace of ours, or 0 for other people's.
pid_t maker_of(std::string_view name) {
  if (!name.starts_with(kPrefix)) return 0;
  name.remove_prefix(kPrefix.size());
  pid_t pid = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
  return error == std::errc() && end != name.data() + name.size() && *end == '-' ? pid : 0;
}

// Cubic fills a shaped link the same way everywhere; where it is not to be had the default has to
// do, so a failure does not matter.
void choose_congestion_control(const std::string& network_namespace) {
  const Result<std::string> ip = network_tool("ip");
  if (!ip) return;
  (void)run_program({*ip, "netns", "exec", network_namespace, "sh", "-c",
                     "echo cubic > /proc/sys/net/ipv4/tcp_congestion_control"});
}

Status limit_rate(const std::string& network_namespace, const std::string& device, Bandwidth rate) {
  if (rate.value() <= 0) return {};
  const auto bits_per_s = static_cast<std::int64_t>(rate.value() * 8);
  const auto burst = std::max<std::int64_t>(
      2 * kPacketBytes, static_cast<std::int64_t>(rate.value() * kBurstSeconds));
  PENSTOCK_TRY_STATUS(configure(fmt::format("ip -n {} link set {} gso_max_size {}",
                                            network_namespace, device, kPacketBytes)));
  return configure(
      fmt::format("tc -n {} qdisc add dev {} root tbf rate {}bit burst {} latency 20ms",
                  network_namespace, device, bits_per_s, burst));
}

Status make_namespace(const std::string& name) {
  PENSTOCK_TRY_STATUS(configure("ip netns add " + name));
  choose_congestion_control(name);
  return configure(fmt::format("ip -n {} link set lo up", name));
}

// Joins a node to the bridge. Both ends of its cable are limited: what the node sends, and what the
// bridge sends to it.
Status join(const Node& node, int number, const std::string& bridge, Bandwidth rate) {
  const std::string& name = node.network_namespace;
  const std::string port = fmt::format("port{}", number);
  for (const std::string& line :
       {fmt::format("ip link add {} netns {} type veth peer name {} netns {}", node.interface, name,
                    port, bridge),
        fmt::format("ip -n {} link set {} master bridge0", bridge, port),
        fmt::format("ip -n {} link set {} up", bridge, port),
        fmt::format("ip -n {} addr add {}/16 dev {}", name, node.address, node.interface),
        fmt::format("ip -n {} link set {} up", name, node.interface)}) {
    PENSTOCK_TRY_STATUS(configure(line));
  }
  PENSTOCK_TRY_STATUS(limit_rate(name, node.interface, rate));
  return limit_rate(bridge, port, rate);
}

// Whether this process holds a capability (capabilities(7)), by its number.
bool has_capability(int number) {
  const Result<std::string> status = core::read_file("/proc/self/status");
  constexpr std::string_view kKey = "CapEff:\t";
  const std::size_t at = status ? status->find(kKey) : std::string::npos;
  if (at == std::string::npos) return false;
  std::uint64_t held = 0;
  const char* begin = status->data() + at + kKey.size();
  std::from_chars(begin, status->data() + status->size(), held, 16);
  return ((held >> number) & 1U) != 0;
}

constexpr int kNetAdmin = 12;
constexpr int kSysAdmin = 21;

}  // namespace

Status can_emulate_nodes() {
  if (!has_capability(kNetAdmin) || !has_capability(kSysAdmin)) {
    return core::missing_error("emulated nodes",
                               "only root may make network namespaces and limit their links",
                               "run as root, or let the ring limit its own links");
  }
  PENSTOCK_TRY(const std::string ip, network_tool("ip"));
  PENSTOCK_TRY(const std::string tc, network_tool("tc"));
  return {};
}

void remove_leftover_nodes() {
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(kNetworkNamespaces), &::closedir);
  if (folder == nullptr) return;
  std::vector<std::string> dead;
  while (const dirent* entry = ::readdir(folder.get())) {
    const pid_t pid = maker_of(entry->d_name);
    if (pid > 0 && ::kill(pid, 0) != 0 && errno == ESRCH) dead.emplace_back(entry->d_name);
  }
  for (const std::string& name : dead) (void)configure("ip netns delete " + name);
}

Result<NodeNetwork> NodeNetwork::create(int nodes, Bandwidth rate) {
  PENSTOCK_TRY_STATUS(can_emulate_nodes());
  if (nodes < 1 || nodes > kMostNodes) {
    return core::input_error("emulated nodes", fmt::format("{} nodes cannot be emulated", nodes),
                             fmt::format("from 1 to {} can", kMostNodes));
  }
  remove_leftover_nodes();
  // From here on the destructor removes what is there, however far this comes.
  NodeNetwork network;
  network.bridge_ = new_namespace_name();
  PENSTOCK_TRY_STATUS(make_namespace(network.bridge_));
  PENSTOCK_TRY_STATUS(
      configure(fmt::format("ip -n {} link add bridge0 type bridge", network.bridge_)));
  PENSTOCK_TRY_STATUS(configure(fmt::format("ip -n {} link set bridge0 up", network.bridge_)));
  for (int i = 0; i < nodes; ++i) {
    network.nodes_.push_back({new_namespace_name(), "eth0", fmt::format("10.213.0.{}", i + 1)});
    PENSTOCK_TRY_STATUS(make_namespace(network.nodes_.back().network_namespace));
    PENSTOCK_TRY_STATUS(join(network.nodes_.back(), i, network.bridge_, rate));
  }
  return network;
}

NodeNetwork::NodeNetwork(NodeNetwork&& other) noexcept
    : nodes_(std::exchange(other.nodes_, {})), bridge_(std::exchange(other.bridge_, "")) {}

NodeNetwork& NodeNetwork::operator=(NodeNetwork&& other) noexcept {
  std::swap(nodes_, other.nodes_);
  std::swap(bridge_, other.bridge_);
  return *this;
}

NodeNetwork::~NodeNetwork() {
  for (const Node& node : nodes_) (void)configure("ip netns delete " + node.network_namespace);
  if (!bridge_.empty()) (void)configure("ip netns delete " + bridge_);
}

}  // namespace penstock::train
