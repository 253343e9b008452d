#include "penstock/train/worker/torch_collective.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <chrono>
#include <map>
#include <string>
#include <torch/csrc/distributed/c10d/FileStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#ifdef USE_C10D_NCCL
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#endif
#include <utility>
#include <vector>

#include "penstock/train/worker/torch_trainer.h"

namespace penstock::train {
namespace {

// A peer that dies closes its connection and is noticed at once; one that hangs, after this.
constexpr std::chrono::milliseconds kPatience{120'000};

Status peer_error(const Job& job, const std::string& what) {
  const std::string line = what.substr(0, what.find('\n'));
  return core::negative(fmt::format("rank {} of {}", job.rank, job.world),
                        "a peer has died or hangs: " + line);
}

// `Group` is ProcessGroupGloo or ProcessGroupNCCL, which share no base over libtorch's versions.
template <typename Group>
class GroupCollective : public Collective {
 public:
  GroupCollective(const Job& job, at::Device device, c10::intrusive_ptr<Group> group)
      : job_(job), device_(device), group_(std::move(group)) {}

  std::int64_t start_sum(float* data, std::size_t count) override {
    const std::int64_t ticket = next_ticket_++;
    try {
      std::vector<at::Tensor> tensors = {at::from_blob(data, {static_cast<std::int64_t>(count)},
                                                       at::dtype(at::kFloat).device(device_))};
      works_[ticket] = group_->allreduce(tensors);
      const auto bytes = static_cast<std::int64_t>(count * sizeof(float));
      bytes_ += 2 * (job_.world - 1) * bytes / job_.world;
    } catch (const std::exception& e) {
      failures_[ticket] = e.what();
    }
    return ticket;
  }

  Status wait(std::int64_t ticket) override {
    if (const auto failure = failures_.find(ticket); failure != failures_.end()) {
      return peer_error(job_, failure->second);
    }
    const auto work = works_.find(ticket);
    if (work == works_.end()) return {};
    return finish(std::move(works_.extract(work).mapped()));
  }

  Status barrier() override {
    try {
      return finish(group_->barrier());
    } catch (const std::exception& e) {
      return peer_error(job_, e.what());
    }
  }

  std::int64_t sent_bytes() const override { return bytes_; }
  std::int64_t received_bytes() const override { return bytes_; }

 private:
  Status finish(c10::intrusive_ptr<c10d::Work> work) {
    try {
      work->wait();
      return {};
    } catch (const std::exception& e) {
      return peer_error(job_, e.what());
    }
  }

  Job job_;
  at::Device device_;
  c10::intrusive_ptr<Group> group_;
  std::map<std::int64_t, c10::intrusive_ptr<c10d::Work>> works_;
  std::map<std::int64_t, std::string> failures_;
  std::int64_t next_ticket_ = 0;
  std::int64_t bytes_ = 0;
};

c10::intrusive_ptr<c10d::Store> make_store(const Job& job) {
  constexpr std::string_view kTcp = "tcp:";
  if (!job.rendezvous.starts_with(kTcp)) {
    return c10::make_intrusive<c10d::FileStore>(job.rendezvous, job.world);
  }
  const std::string address = job.rendezvous.substr(kTcp.size());
  const std::size_t colon = address.rfind(':');
  TORCH_CHECK(colon != std::string::npos, "the rendezvous \"", job.rendezvous, "\" has no port");
  c10d::TCPStoreOptions options;
  options.port = static_cast<std::uint16_t>(std::stoi(address.substr(colon + 1)));
  options.isServer = job.rank == 0;
  options.numWorkers = job.world;
  options.timeout = kPatience;
  return c10::make_intrusive<c10d::TCPStore>(address.substr(0, colon), options);
}

std::unique_ptr<Collective> make_gloo(const Job& job) {
  const auto options = c10d::ProcessGroupGloo::Options::create(kPatience);
  const std::string interface = job.interface.empty() ? "lo" : job.interface;
  options->devices.push_back(c10d::ProcessGroupGloo::createDeviceForInterface(interface));
  options->threads = 1;  // sums run one after another
  return std::make_unique<GroupCollective<c10d::ProcessGroupGloo>>(
      job, at::kCPU,
      c10::make_intrusive<c10d::ProcessGroupGloo>(make_store(job), job.rank, job.world, options));
}

#ifdef USE_C10D_NCCL
std::unique_ptr<Collective> make_nccl(const Job& job, at::Device device) {
  const auto options = c10d::ProcessGroupNCCL::Options::create();
  return std::make_unique<GroupCollective<c10d::ProcessGroupNCCL>>(
      job, device,
      c10::make_intrusive<c10d::ProcessGroupNCCL>(make_store(job), job.rank, job.world, options));
}
#endif

Result<std::unique_ptr<Collective>> make(const Job& job) {
  if (job.transport == Transport::kGloo) return make_gloo(job);
#ifdef USE_C10D_NCCL
  if (job.transport == Transport::kNccl) return make_nccl(job, compute_device(job));
#endif
  return core::missing_error("penstock-torch-worker",
                             "this build's libtorch has no NCCL for the transport",
                             "set the transport \"gloo\" or \"ring\", or build against a libtorch "
                             "with CUDA (-DCMAKE_PREFIX_PATH)");
}

}  // namespace

Result<std::unique_ptr<Collective>> make_torch_collective(const Job& job) {
  if (job.rendezvous.empty()) {
    return core::input_error("job", "\"rendezvous\" is empty, so the ranks cannot meet",
                             "name a file that all ranks see, or \"tcp:HOST:PORT\"");
  }
  try {
    return make(job);
  } catch (const std::exception& e) {
    const std::string text = e.what();
    return core::negative(fmt::format("rank {} of {}", job.rank, job.world),
                          "the ranks cannot meet: " + text.substr(0, text.find('\n')));
  }
}

}  // namespace penstock::train
