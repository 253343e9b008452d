// A batch system that behaves as Slurm was seen to, in simulated time, and that can be told to end
// the scheduler at any request.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "penstock/cluster/slurm.h"

namespace penstock::cluster {

struct Killed {};  // thrown in place of SIGKILL

class FakeBatch : public BatchSystem {
 public:
  static constexpr std::int64_t kSecond = 1'000'000'000;
  static constexpr std::int64_t kEpochSeconds = 1'700'000'000;

  FakeBatch(int racks, int nodes_per_rack, int accelerators) {
    for (int i = 0; i < racks * nodes_per_rack; ++i) {
      view_.nodes.push_back({"node" + std::to_string(i),
                             "rack" + std::to_string(i / nodes_per_rack), accelerators, true});
    }
  }

  // How the world goes.
  struct Work {
    std::int64_t left_ns = 0;
    std::int64_t begin_ns = 0;    // pending: not before
    std::int64_t leaves_ns = -1;  // completing until
    bool is_requeued = false;     // and then pending
    int ends = 0;                 // times that it has run to its end
    std::int64_t end_ns = 0;
    std::vector<std::int64_t> starts_ns;
  };
  std::int64_t add(int accelerators, double seconds, const std::string& comment = "penstock:") {
    BatchJob job;
    job.id = next_id_++;
    job.name = "job" + std::to_string(job.id);
    job.comment = comment;
    job.is_held = true;
    job.accelerators = accelerators;
    job.tasks = accelerators;
    job.state_name = "PENDING";
    job.submit_s = kEpochSeconds + now_ns / kSecond;
    work[job.id].left_ns = std::int64_t(seconds * double(kSecond));
    if (!comment.starts_with("penstock")) foreign.insert(job.id);
    view_.jobs.push_back(job);
    return job.id;
  }
  BatchJob& job(std::int64_t id) {
    return *std::find_if(view_.jobs.begin(), view_.jobs.end(),
                         [&](const BatchJob& it) { return it.id == id; });
  }
  BatchNode& node(int index) { return view_.nodes[std::size_t(index)]; }

  // Somebody else's job runs there.
  void occupy(int node, int accelerators) {
    const std::int64_t id = add(accelerators, 1e9, "");
    job(id).is_held = false;
    start(job(id), {{view_.nodes[std::size_t(node)].name, accelerators}});
  }
  // The machine dies: what ran on it is requeued as Slurm does, to begin in two minutes.
  void kill_node(int index) {
    node(index).is_usable = false;
    for (BatchJob& it : view_.jobs) {
      const bool is_there =
          std::any_of(it.shares.begin(), it.shares.end(),
                      [&](const NodeShare& share) { return share.node == node(index).name; });
      if (!is_there || it.state != BatchState::kRunning) continue;
      it.shares.clear();
      it.state = BatchState::kPending;
      ++it.restarts;
      work[it.id].begin_ns = now_ns + 120 * kSecond;
    }
  }
  void advance(std::int64_t ns) {
    constexpr std::int64_t kTick = kSecond / 10;
    for (const std::int64_t end = now_ns + ns; now_ns < end;) {
      now_ns += kTick;
      for (BatchJob& it : view_.jobs) tick(it, kTick);
    }
  }
  bool all_ended() const {
    return std::all_of(view_.jobs.begin(), view_.jobs.end(), [&](const BatchJob& it) {
      return it.state == BatchState::kEnded || foreign.contains(it.id);
    });
  }

  // What the scheduler asks.
  std::string name() const override { return "fake"; }
  Result<const BatchView*> look() override {
    if (is_away) return core::missing_error("Slurm", "its controller does not answer");
    request();
    const BatchView* view = &view_;
    after_request();
    return view;
  }
  Result<std::int64_t> submit(const BatchSubmission& submission) override {
    return add(submission.accelerators, 1, submission.comment);
  }
  Status place(const BatchJob& asked, const std::vector<NodeShare>& shares) override {
    request();
    if (refuses_places)
      return core::missing_error("Slurm", "Requested node configuration is not available");
    BatchJob& it = owned(asked.id);
    EXPECT_EQ(it.state, BatchState::kPending);
    int sum = 0;
    it.wanted_nodes.clear();
    for (const NodeShare& share : shares) {
      it.wanted_nodes.push_back(share.node);
      sum += share.accelerators;
    }
    EXPECT_EQ(sum, it.accelerators);
    after_request();
    return {};
  }
  Status release(std::int64_t id) override {
    request();
    BatchJob& it = owned(id);
    EXPECT_EQ(it.state, BatchState::kPending);
    EXPECT_FALSE(it.is_completing) << "its begin time would be overwritten";
    EXPECT_FALSE(it.wanted_nodes.empty()) << "released without a place";
    it.is_held = false;
    work[id].begin_ns = now_ns + start_delay_ns;
    after_request();
    return {};
  }
  Status hold(std::int64_t id) override {
    request();
    owned(id).is_held = true;
    after_request();
    return {};
  }
  Status requeue_hold(std::int64_t id) override {
    request();
    BatchJob& it = owned(id);
    EXPECT_EQ(it.state, BatchState::kRunning);
    it.state = BatchState::kPending;
    it.is_completing = true;
    it.is_held = true;
    ++it.restarts;
    work[id].is_requeued = true;
    work[id].leaves_ns = now_ns + kSecond / 2;
    after_request();
    return {};
  }
  Status signal(std::int64_t id, int /*signal*/) override {
    request();
    owned(id);
    signalled.push_back(id);
    after_request();
    return {};
  }
  Status cancel(std::int64_t id) override {
    ADD_FAILURE() << "the scheduler cancels job " << id;
    return {};
  }

  std::int64_t now_ns = 0;
  std::int64_t unix_ns() const { return kEpochSeconds * kSecond + now_ns; }
  std::map<std::int64_t, Work> work;
  std::set<std::int64_t> foreign;
  std::vector<std::int64_t> signalled;
  std::vector<std::int64_t> start_order;
  std::int64_t start_delay_ns = kSecond / 2;
  bool is_away = false;
  bool refuses_places = false;
  int requests = 0;
  int killed_before = -1;  // the request of this number
  int killed_after = -1;

 private:
  void request() {
    if (requests++ == killed_before) throw Killed{};
  }
  void after_request() const {
    if (requests - 1 == killed_after) throw Killed{};
  }
  BatchJob& owned(std::int64_t id) {
    EXPECT_FALSE(foreign.contains(id)) << "job " << id << " is not the scheduler's";
    return job(id);
  }
  int free_on(const std::string& name) const {
    int free = 0;
    for (const BatchNode& it : view_.nodes) {
      if (it.name == name && it.is_usable) free = it.accelerators;
    }
    for (const BatchJob& it : view_.jobs) {
      for (const NodeShare& share : it.shares) {
        if (share.node == name) free -= share.accelerators;
      }
    }
    return free;
  }
  void start(BatchJob& it, std::vector<NodeShare> shares) {
    it.state = BatchState::kRunning;
    it.state_name = "RUNNING";
    it.shares = std::move(shares);
    it.start_s = kEpochSeconds + now_ns / kSecond;
    work[it.id].starts_ns.push_back(now_ns);
    start_order.push_back(it.id);
  }
  void try_start(BatchJob& it) {
    std::vector<NodeShare> shares;
    int left = it.accelerators;
    const int spare = int(it.wanted_nodes.size());
    for (std::size_t i = 0; i < it.wanted_nodes.size(); ++i) {
      const int others = spare - int(i) - 1;  // every node gets one at least
      const int taken = std::min(free_on(it.wanted_nodes[i]), left - others);
      if (taken <= 0) return;
      shares.push_back({it.wanted_nodes[i], taken});
      left -= taken;
    }
    if (left == 0) start(it, std::move(shares));
  }
  void tick(BatchJob& it, std::int64_t ns) {
    Work& its = work[it.id];
    if (it.is_completing && now_ns >= its.leaves_ns) {
      it.is_completing = false;
      it.shares.clear();
      its.is_requeued = false;
      its.begin_ns = now_ns + 120 * kSecond;
    }
    if (it.state == BatchState::kPending && !it.is_held && !it.is_completing &&
        now_ns >= its.begin_ns) {
      try_start(it);
    } else if (it.state == BatchState::kRunning) {
      its.left_ns -= ns;
      if (its.left_ns > 0) return;
      it.state = BatchState::kEnded;
      it.state_name = "COMPLETED";
      it.shares.clear();
      it.end_s = kEpochSeconds + now_ns / kSecond;
      its.end_ns = now_ns;
      ++its.ends;
    }
  }

  BatchView view_;
  std::int64_t next_id_ = 1;
};

}  // namespace penstock::cluster
