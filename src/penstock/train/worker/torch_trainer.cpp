#include "penstock/train/worker/torch_trainer.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>
#include <fmt/format.h>
#include <sched.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/utils/lambda_post_hook.h>
#include <torch/csrc/autograd/variable.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "penstock/core/clock.h"
#include "penstock/core/random.h"
#include "penstock/train/worker/synthetic_bounds.h"
#include "penstock/train/worker/torch_optimizer.h"
#include "penstock/train/worker/torch_program.h"

namespace penstock::train {
namespace {

// OpenBLAS keeps a count of threads of its own; of other BLAS libraries, nothing is done.
void set_blas_threads(int threads) {
  using SetThreads = void (*)(int);
  const auto set = reinterpret_cast<SetThreads>(dlsym(RTLD_DEFAULT, "openblas_set_num_threads"));
  if (set != nullptr) set(threads);
}

// Synthetic batches kept in host memory: enough to differ, and no more than this.
constexpr std::int64_t kBankBytes = 256 << 20;
constexpr std::int64_t kBankBatches = 8;

// The one place where libtorch's exceptions end; their first line, without the stack.
template <typename Body>
Status guarded(const std::string& where, const Body& body) {
  std::string text;
  try {
    body();
    return {};
  } catch (const c10::Error& e) {
    text = e.what_without_backtrace();
  } catch (const std::exception& e) {
    text = e.what();
  }
  return core::negative(where, "libtorch: " + text.substr(0, text.find('\n')));
}

int processors() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  return sched_getaffinity(0, sizeof allowed, &allowed) == 0 ? CPU_COUNT(&allowed) : 1;
}

struct HostBatch {
  std::vector<at::Tensor> inputs;
  at::Tensor labels;
};

class TorchTrainer : public Trainer {
 public:
  TorchTrainer(const Job& job, at::Device device, Program program)
      : job_(job),
        device_(device),
        program_(std::move(program)),
        optimizer_(job, values_of(program_)),
        has_no_processor_to_spare_(device.is_cpu() && job.threads == 1 && processors() == 1) {
    make_bank();
  }

  std::vector<std::int64_t> gradient_elements() const override {
    std::vector<std::int64_t> elements;
    for (const Parameter& p : program_.parameters()) elements.push_back(p.value.numel());
    return elements;
  }

  Result<float*> gather_gradients(const Buckets& buckets) override {
    PENSTOCK_TRY_STATUS(guarded(job_.model, [&] { hook_gradients(buckets); }));
    return buffer_.data_ptr<float>();
  }

  Status accept(const BatchShape& shape) override;
  Status load(const BatchView& batch) override;

  Status load_synthetic(std::int64_t index) override {
    return guarded(job_.model,
                   [&] { to_device(bank_[static_cast<std::size_t>(index % std::ssize(bank_))]); });
  }

  Status forward() override {
    return guarded(job_.model, [&] { loss_ = program_.loss(inputs_, labels_); });
  }

  Status backward(const std::function<void(int tensor)>& ready) override {
    ready_ = &ready;
    Status status = guarded(job_.model, [&] { loss_.backward(); });
    ready_ = nullptr;
    return status;
  }

  Status update(double scale) override {
    return guarded(job_.model, [&] {
      std::vector<at::Tensor> gradients;
      const at::Tensor summed = buffer_.defined() ? buffer_.to(device_) : at::Tensor();
      for (std::size_t i = 0; i < program_.parameters().size(); ++i) {
        const at::Tensor& value = program_.parameters()[i].value;
        gradients.push_back(summed.defined() ? summed.narrow(0, offsets_[i], value.numel())
                                             : value.grad());
      }
      optimizer_.step(gradients, scale);
      for (const Parameter& p : program_.parameters()) p.value.mutable_grad().reset();
    });
  }

  Status synchronize() override {
    if (device_.is_cpu()) return {};
    return guarded(job_.model, [&] {
      const c10::impl::VirtualGuardImpl guard(device_.type());
      guard.getStream(device_).synchronize();
    });
  }

  double loss() override { return loss_.item<double>(); }

  std::int64_t taken_ns() const override {
    if (!has_no_processor_to_spare_) return 0;
    return core::clock_ns(CLOCK_PROCESS_CPUTIME_ID) - core::clock_ns(CLOCK_THREAD_CPUTIME_ID);
  }

 private:
  static std::vector<at::Tensor> values_of(const Program& program) {
    std::vector<at::Tensor> values;
    for (const Parameter& p : program.parameters()) values.push_back(p.value);
    return values;
  }

  void make_bank();
  void hook_gradients(const Buckets& buckets);
  void to_device(const HostBatch& batch) {
    inputs_.clear();
    for (const at::Tensor& input : batch.inputs) inputs_.push_back(input.to(device_));
    labels_ = batch.labels.to(device_);
  }

  Job job_;
  at::Device device_;
  Program program_;
  OptimizerState optimizer_;
  const bool has_no_processor_to_spare_;  // and computes in the calling thread alone
  std::vector<HostBatch> bank_;
  std::vector<at::Tensor> inputs_;
  at::Tensor labels_;
  at::Tensor loss_;
  at::Tensor buffer_;                  // of all gradients, where they are summed
  std::vector<std::int64_t> offsets_;  // in it, by parameter
  std::vector<std::shared_ptr<torch::autograd::Node>> accumulators_;  // kept, with their hooks
  const std::function<void(int)>* ready_ = nullptr;                   // during a backward pass
};

void TorchTrainer::make_bank() {
  const model::Graph& graph = program_.graph();
  std::int64_t batch_bytes = 1;
  for (const int id : graph.inputs) {
    batch_bytes += 4 * model::elements(graph.tensors[static_cast<std::size_t>(id)].shape);
  }
  const std::int64_t batches =
      job_.channel.empty() ? std::clamp<std::int64_t>(kBankBytes / batch_bytes, 1, kBankBatches)
                           : 1;
  for (std::int64_t i = 0; i < batches; ++i) {
    HostBatch batch;
    core::RandomStream random(job_.seed, fmt::format("synthetic {} {}", job_.rank, i));
    for (const int id : graph.inputs) {
      const model::Tensor& tensor = graph.tensors[static_cast<std::size_t>(id)];
      if (tensor.type == model::ElementType::kFloat) {
        at::Tensor values = at::empty(tensor.shape, at::kFloat);
        float* data = values.data_ptr<float>();
        for (std::int64_t e = 0; e < values.numel(); ++e) {  // mean 0 and variance 1
          data[e] = static_cast<float>(std::sqrt(12.0) * (random.uniform() - 0.5));
        }
        batch.inputs.push_back(values);
        continue;
      }
      const bool is_bool = tensor.type == model::ElementType::kBool;
      const auto bound = static_cast<std::uint64_t>(is_bool ? 2 : index_bound(graph, id));
      at::Tensor values = at::empty(tensor.shape, at::kLong);
      std::int64_t* data = values.data_ptr<std::int64_t>();
      for (std::int64_t e = 0; e < values.numel(); ++e) {
        data[e] = static_cast<std::int64_t>(random.below(bound));
      }
      batch.inputs.push_back(is_bool ? values.to(at::kBool) : values);
    }
    batch.labels = at::empty({program_.labels()}, at::kLong);
    std::int64_t* labels = batch.labels.data_ptr<std::int64_t>();
    for (std::int64_t e = 0; e < batch.labels.numel(); ++e) {
      labels[e] =
          static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(program_.classes())));
    }
    bank_.push_back(std::move(batch));
  }
}

// A hook behind each parameter's accumulator: libtorch's own reducer cannot be used from outside,
// and a bucket must start while the pass runs on.
void TorchTrainer::hook_gradients(const Buckets& buckets) {
  // NCCL reads the device's memory; the other transports need it on the host.
  const at::Device where = job_.transport == Transport::kNccl ? device_ : at::Device(at::kCPU);
  buffer_ = at::zeros({buckets.total_elements()}, at::dtype(at::kFloat).device(where));
  for (std::size_t i = 0; i < program_.parameters().size(); ++i) {
    at::Tensor parameter = program_.parameters()[i].value;
    offsets_.push_back(buckets.offset(static_cast<int>(i)));
    const at::Tensor place =
        buffer_.narrow(0, offsets_[i], parameter.numel()).view(parameter.sizes());
    const auto hook = [this, i, place](const torch::autograd::variable_list& outputs,
                                       const torch::autograd::variable_list&) {
      const at::Tensor& value = program_.parameters()[i].value;
      const at::NoGradGuard no_gradients;
      place.copy_(value.grad());
      value.mutable_grad().reset();
      (*ready_)(static_cast<int>(i));
      return outputs;
    };
    accumulators_.push_back(torch::autograd::impl::grad_accumulator(parameter));
    accumulators_.back()->add_post_hook(
        std::make_unique<torch::autograd::utils::LambdaPostHook>(hook));
  }
}

Status TorchTrainer::accept(const BatchShape& shape) {
  const model::Graph& graph = program_.graph();
  const model::Shape given = {shape.batch, shape.channels, shape.height, shape.width};
  const model::Shape& wanted = graph.tensors[static_cast<std::size_t>(graph.inputs.front())].shape;
  if (graph.inputs.size() != 1 || given != wanted || program_.labels() != shape.batch) {
    return core::input_error(
        job_.model,
        fmt::format("the loader gives images of {}, and the model takes {} with {} labels",
                    model::shape_text(given), model::shape_text(wanted), program_.labels()),
        "set the loader's --batch and --size, or train on synthetic data");
  }
  return {};
}

Status TorchTrainer::load(const BatchView& batch) {
  const auto* largest = std::max_element(batch.labels, batch.labels + batch.samples);
  const auto* smallest = std::min_element(batch.labels, batch.labels + batch.samples);
  if (*largest >= program_.classes() || *smallest < 0) {
    return core::input_error(
        job_.model, fmt::format("the data have the label {}, and the model tells {} classes apart",
                                *smallest < 0 ? *smallest : *largest, program_.classes()));
  }
  return guarded(job_.model, [&] {
    const model::Graph& graph = program_.graph();
    const model::Shape& shape = graph.tensors[static_cast<std::size_t>(graph.inputs.front())].shape;
    // The view is read only, and ends with its release; copied even where it is on its device.
    auto* pixels = const_cast<float*>(batch.pixels);
    auto* labels = const_cast<std::int32_t*>(batch.labels);
    inputs_ = {at::from_blob(pixels, shape, at::kFloat).to(device_, at::kFloat, false, true)};
    labels_ = at::from_blob(labels, {batch.samples}, at::kInt).to(device_, at::kLong);
  });
}

}  // namespace

at::Device compute_device(const Job& job) {
  if (!at::globalContext().hasCUDA()) return at::kCPU;
  const c10::impl::VirtualGuardImpl cuda(at::kCUDA);
  const int devices = cuda.deviceCount();
  if (devices == 0) return at::kCPU;
  int place = job.rank;
  if (!job.node_of_rank.empty()) {
    const auto self = job.node_of_rank.begin() + job.rank;
    place = static_cast<int>(std::count(job.node_of_rank.begin(), self, *self));
  }
  return {at::kCUDA, static_cast<at::DeviceIndex>(place % devices)};
}

Result<std::unique_ptr<Trainer>> make_torch_trainer(const Job& job) {
  PENSTOCK_TRY(model::Graph graph, model::read_onnx(job.model, {.batch = job.batch}));
  std::unique_ptr<Trainer> trainer;
  Status built;
  const Status status = guarded(job.model, [&] {
    at::set_num_threads(job.threads);
    set_blas_threads(job.threads);
    at::globalContext().setBenchmarkCuDNN(true);  // shapes stay the same from step to step
    const at::Device device = compute_device(job);
    Result<Program> program =
        Program::build(std::move(graph), {.seed = job.seed, .type = at::kFloat, .device = device});
    if (program) {
      trainer = std::make_unique<TorchTrainer>(job, device, *std::move(program));
    } else {
      built = core::fail(program.error());
    }
  });
  PENSTOCK_TRY_STATUS(status);
  PENSTOCK_TRY_STATUS(built);
  return trainer;
}

}  // namespace penstock::train
