#include "penstock/train/network.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "penstock/train/ring.h"

namespace penstock::train {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

// The namespaces that the process `pid` has made.
std::vector<std::string> namespaces_of(pid_t pid) {
  std::vector<std::string> found;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator("/run/netns", none)) {
    const std::string name = entry.path().filename();
    if (name.starts_with("penstock-" + std::to_string(pid) + "-")) found.push_back(name);
  }
  return found;
}

class NodeNetworkTest : public testing::Test {
 protected:
  void SetUp() override {
    if (const Status can = can_emulate_nodes(); !can) GTEST_SKIP() << can.error().text();
    std::string path = testing::TempDir() + "network-XXXXXX";
    ASSERT_NE(::mkdtemp(path.data()), nullptr);
    folder_ = path;
  }
  void TearDown() override {
    EXPECT_THAT(namespaces_of(::getpid()), IsEmpty());
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }

  // Runs a rank in its node's namespace; the exit code says how it went.
  pid_t start_rank(const Node& node, int rank, int world) {
    const pid_t pid = ::fork();
    if (pid != 0) return pid;
    const int space =
        ::open(("/run/netns/" + node.network_namespace).c_str(), O_RDONLY | O_CLOEXEC);
    if (::setns(space, CLONE_NEWNET) != 0) ::_exit(2);
    RingOptions options;
    options.rank = rank;
    options.world = world;
    options.interface = node.interface;
    options.rendezvous = folder_ + "/meet";
    const Result<std::unique_ptr<Collective>> ring = connect_ring(options);
    if (!ring) ::_exit(3);
    std::vector<float> values(100'000, static_cast<float>(rank + 1));
    if (!(*ring)->wait((*ring)->start_sum(values.data(), values.size()))) ::_exit(4);
    const float expected = static_cast<float>(world * (world + 1)) / 2;
    ::_exit(values == std::vector<float>(values.size(), expected) ? 0 : 5);
  }

  std::string folder_;
};

TEST_F(NodeNetworkTest, RanksInThreeNodesSumOverTheirLinks) {
  const Result<NodeNetwork> network = NodeNetwork::create(3, Bandwidth(1.25e8));
  ASSERT_TRUE(network) << network.error().text();
  std::vector<pid_t> ranks;
  for (int rank = 0; rank < 3; ++rank) {
    ranks.push_back(start_rank(network->nodes()[static_cast<std::size_t>(rank)], rank, 3));
  }
  for (const pid_t pid : ranks) {
    int status = 0;
    ::waitpid(pid, &status, 0);
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0);
  }
}

TEST_F(NodeNetworkTest, TwoNetworksOfOneProcessDoNotMeet) {
  const Result<NodeNetwork> one = NodeNetwork::create(2, Bandwidth());
  ASSERT_TRUE(one) << one.error().text();
  const Result<NodeNetwork> other = NodeNetwork::create(2, Bandwidth());
  ASSERT_TRUE(other) << other.error().text();
  EXPECT_NE(one->nodes()[0].network_namespace, other->nodes()[0].network_namespace);
  // Two nodes and a bridge each.
  EXPECT_EQ(namespaces_of(::getpid()).size(), 6);
}

TEST_F(NodeNetworkTest, WhatAKilledProcessHasLeftGoesWithTheNextNetwork) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    const Result<NodeNetwork> network = NodeNetwork::create(2, Bandwidth(1.25e8));
    ::_exit(network ? 0 : 1);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  ASSERT_EQ(status, 0);
  // The child's numbers go on from ours.
  EXPECT_EQ(namespaces_of(pid).size(), 3);
  const Result<NodeNetwork> network = NodeNetwork::create(1, Bandwidth());
  ASSERT_TRUE(network) << network.error().text();
  EXPECT_THAT(namespaces_of(pid), IsEmpty());
}

TEST_F(NodeNetworkTest, ANetworkWithoutNodesIsRefused) {
  const Result<NodeNetwork> network = NodeNetwork::create(0, Bandwidth());
  ASSERT_FALSE(network);
  EXPECT_THAT(network.error().text(), HasSubstr("0 nodes cannot be emulated"));
}

TEST_F(NodeNetworkTest, AMovedNetworkIsRemovedOnce) {
  Result<NodeNetwork> network = NodeNetwork::create(1, Bandwidth());
  ASSERT_TRUE(network) << network.error().text();
  {
    const NodeNetwork moved = *std::move(network);
    EXPECT_EQ(namespaces_of(::getpid()).size(), 2);
  }
  EXPECT_THAT(namespaces_of(::getpid()), IsEmpty());
}

}  // namespace
}  // namespace penstock::train
