#include "penstock/profile/internal/setting.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "penstock/core/check.h"
#include "penstock/core/file.h"
#include "penstock/core/json.h"

namespace penstock::profile::internal {
namespace {

using train::Job;
using train::Launch;
using train::RankCommand;
using train::Transport;

constexpr const char* kMemoryFolder = "/dev/shm";

bool needs_data(RunKind kind) { return kind == RunKind::kWarm || kind == RunKind::kCold; }

// "train" of "python3 train.py DATA": the script, else the program.
std::string name_of_program(const std::vector<std::string>& command) {
  const auto script = std::find_if(command.begin(), command.end(),
                                   [](const std::string& word) { return word.ends_with(".py"); });
  const std::string& named = script != command.end() ? *script : command.front();
  return std::filesystem::path(named).stem().string();
}

}  // namespace

std::vector<std::int64_t> gradients_of(const model::Graph& graph) {
  std::vector<std::int64_t> bytes;
  std::vector<bool> seen(graph.tensors.size(), false);
  for (const model::Operator& op : graph.operators) {
    std::int64_t left = op.parameters;
    std::vector<std::int64_t> own;
    for (const int input : op.inputs) {
      if (input < 0) continue;
      const auto at = static_cast<std::size_t>(input);
      if (graph.tensors[at].kind != model::TensorKind::kParameter) continue;
      const std::int64_t elements = model::elements(graph.tensors[at].shape);
      left -= elements;
      if (seen[at]) continue;
      seen[at] = true;
      own.push_back(4 * elements);
    }
    // The scale of a batch norm that the export folded into a convolution: trained, and not in the
    // file. It is as long as the bias, and comes before it.
    if (op.type == "Conv" && own.size() == 2 && 4 * left == own.back()) own.push_back(own.back());
    bytes.insert(bytes.end(), own.begin(), own.end());
  }
  return bytes;
}

Result<std::unique_ptr<Setting>> Setting::prepare(TrainProfile& profile) {
  const TrainProfileOptions& options = profile.options;
  std::unique_ptr<Setting> setting(new Setting(options));
  if (!options.slurm && train::can_emulate_nodes()) train::remove_leftover_nodes();
  if (options.ranks < 1 || options.nodes < 1 || options.ranks % options.nodes != 0) {
    return core::input_error(
        "--nodes",
        fmt::format("{} ranks do not go evenly over {} nodes", options.ranks, options.nodes),
        "make --ranks a multiple of --nodes");
  }
  if (!options.model.empty()) {
    PENSTOCK_TRY(const model::Graph graph, model::read_onnx(options.model, {.batch = 1}));
    profile.model = std::filesystem::path(options.model).stem().string();
    profile.macs_per_sample = static_cast<double>(graph.macs());
    setting->gradient_bytes_ = gradients_of(graph);
  } else if (options.emulate) {
    profile.model = options.emulate->name;
    if (options.emulate->tensors > 0) {
      const double each = options.emulate->parameters * 4 / options.emulate->tensors;
      setting->gradient_bytes_.assign(static_cast<std::size_t>(options.emulate->tensors),
                                      static_cast<std::int64_t>(each));
    }
  } else if (!options.attach.empty()) {
    profile.model = name_of_program(options.attach);
  }
  profile.gradient_bytes = setting->gradient_bytes_;
  if (options.slurm) {
    std::error_code ignored;
    const std::string& shared = options.slurm->shared;
    const auto folder = std::filesystem::absolute(shared.empty() ? "." : shared, ignored);
    PENSTOCK_TRY(setting->folder_, core::PrivateFolder::create(folder.lexically_normal().string()));
  } else {
    PENSTOCK_TRY(setting->folder_, core::PrivateFolder::create());
    if (access(kMemoryFolder, W_OK) == 0) {
      PENSTOCK_TRY(setting->memory_folder_, core::PrivateFolder::create(kMemoryFolder));
    }
  }
  PENSTOCK_TRY_STATUS(setting->find_programs(profile));
  PENSTOCK_TRY_STATUS(setting->make_nodes(profile));
  setting->read_processors(profile);
  return setting;
}

void Setting::read_processors(TrainProfile& profile) {
  if (slurm_) {
    cores_of_rank_ = slurm_->nodes().processors_of_rank;
    profile.cores = cores_of_rank_ * options_.ranks;
  } else {
    processors_ = allowed_processors();
    profile.cores = static_cast<int>(processors_.size());
    cores_of_rank_ = std::max(1, profile.cores / options_.ranks);
  }
  profile.workers = workers();
}

Status Setting::find_programs(TrainProfile& profile) {
  if (options_.attach.empty()) {
    if (options_.emulate) {
      profile.accelerator = options_.emulate->name;
    } else {
      PENSTOCK_TRY(worker_, train::companion_program("penstock-torch-worker"));
      profile.accelerator = options_.transport == Transport::kNccl ? "cuda" : "cpu";
    }
  } else {
    profile.accelerator = "attached program";
  }
  // Without it the profile lacks the loader's own rates and the cost of measuring, no more.
  if (options_.emulate || options_.attach.empty()) {
    PENSTOCK_TRY(emulated_worker_, train::companion_program("penstock-emulated-worker"));
  }
  if (!options_.accelerator.empty()) profile.accelerator = options_.accelerator;
  if (options_.emulate) worker_ = emulated_worker_;
  loader_ = options_.loader_program;
  if (loader_.empty()) {
    std::error_code error;
    loader_ = std::filesystem::read_symlink("/proc/self/exe", error).string();
  }
  return {};
}

Status Setting::make_nodes(TrainProfile& profile) {
  transport_ = options_.transport.value_or(options_.emulate ? Transport::kRing : Transport::kGloo);
  if (options_.slurm) {
    PENSTOCK_TRY_STATUS(get_slurm_nodes(profile));
  } else if (options_.nodes > 1 && options_.attach.empty()) {
    const Status can = train::can_emulate_nodes();
    // A delay needs the transport's own limit: the kernel's filter has only a rate.
    const bool in_transport = options_.nodes_in_transport || options_.delay.value() > 0;
    if (can && !in_transport) {
      PENSTOCK_TRY(network_, train::NodeNetwork::create(options_.nodes, options_.link));
      profile.link_text = "network namespaces, rate limited by the kernel";
    } else if (options_.transport.value_or(Transport::kRing) != Transport::kRing) {
      return core::missing_error("--nodes",
                                 "nodes cannot be made for this transport: " +
                                     (can ? "the kernel limits only the rate" : can.error().text()),
                                 "use --transport ring, whose links are limited in the process");
    } else {
      transport_ = Transport::kRing;
      limit_in_transport_ = true;
      profile.link_text = "rate and delay limited in the transport";
      if (!can)
        profile.notes.push_back("nodes are emulated in the transport: " + can.error().message);
    }
  }
  switch (transport_) {
    case Transport::kGloo:
      profile.transport = "gloo";
      break;
    case Transport::kNccl:
      profile.transport = "nccl";
      break;
    case Transport::kRing:
      profile.transport = "ring";
      break;
  }
  return {};
}

int Setting::workers() const {
  return options_.loader.workers > 0 ? options_.loader.workers : cores_of_rank_;
}

Status Setting::get_slurm_nodes(TrainProfile& profile) {
  if (options_.progress) fmt::print(stderr, "    asking Slurm for {} nodes\n", options_.nodes);
  PENSTOCK_TRY(slurm_, train::SlurmAllocation::create({.ranks = options_.ranks,
                                                       .nodes = options_.nodes,
                                                       .processors_of_rank = options_.threads}));
  const train::SlurmNodes& nodes = slurm_->nodes();
  profile.slurm_nodes = nodes.names;
  profile.link_text = fmt::format("Slurm's {}, job {}, and the network between them",
                                  fmt::join(nodes.names, ", "), nodes.job);
  if (options_.nodes > 1 && options_.ranks > options_.nodes) {
    profile.notes.push_back("what ranks of one node say to each other counts as network");
  }
  return {};
}

// Data runs use every node too. Slurm's ranks keep to their nodes without sums as well.
bool Setting::spans_nodes(RunKind kind) const {
  return kind == RunKind::kNodes || needs_data(kind) || (slurm_ && kind != RunKind::kSingle);
}

std::optional<train::SlurmNodes> Setting::slurm_nodes(bool all) const {
  if (!slurm_) return std::nullopt;
  return slurm_->first(all ? options_.nodes : 1);
}

std::string Setting::channel_of(int rank) const {
  if (slurm_) {
    // In the memory of a node, where we cannot make folders. Its name goes when both sides have it.
    return fmt::format("{}/penstock-slurm-{}-{}-run{}-rank{}", kMemoryFolder, slurm_->nodes().job,
                       getpid(), runs_, rank);
  }
  const core::PrivateFolder& folder = memory_folder_ ? *memory_folder_ : *folder_;
  return fmt::format("{}/run{}-rank{}", folder.path(), runs_, rank);
}

Job Setting::job_of(RunKind kind, int rank) const {
  Job job;
  job.model = options_.model;
  if (options_.emulate) {
    // A training step is one part forward and two parts backward (each layer's product once for the
    // activations' and once for the weights' gradient).
    job.accelerator.forward = options_.emulate->compute / 3;
    job.accelerator.backward = options_.emulate->compute * (2.0 / 3);
    job.accelerator.gradient_bytes = gradient_bytes_;
  }
  job.batch = options_.batch;
  job.steps = options_.steps;
  job.warmup = options_.warmup;
  job.seed = options_.seed;
  job.threads = options_.threads > 0 ? options_.threads : cores_of_rank_;
  job.optimizer = options_.optimizer;
  job.rank = rank;
  job.world = kind == RunKind::kSingle ? 1 : options_.ranks;
  job.all_reduce = kind != RunKind::kContention;
  job.overlap = options_.overlap;
  job.transport = transport_;
  job.bucket_bytes = options_.bucket_bytes;
  job.first_bucket_bytes = std::min(job.first_bucket_bytes, job.bucket_bytes);
  job.rendezvous = rendezvous_;
  if (spans_nodes(kind) && options_.nodes > 1) {
    const int per_node = options_.ranks / options_.nodes;
    for (int r = 0; r < options_.ranks; ++r) job.node_of_rank.push_back(r / per_node);
    if (network_) {
      job.interface = network_->nodes()[static_cast<std::size_t>(rank / per_node)].interface;
    }
    if (limit_in_transport_) job.limit = {options_.link, options_.delay};
  }
  if (slurm_) {
    job.interface =
        options_.slurm->interface.empty() ? slurm_->interface() : options_.slurm->interface;
  }
  return job;
}

Status Setting::add_rank(const Job& job, const std::string& worker, bool real_data,
                         Launch& launch) const {
  Job mine = job;
  if (real_data) mine.channel = channel_of(job.rank);
  const std::string path = fmt::format("{}/run{}-rank{}.json", folder_->path(), runs_, job.rank);
  PENSTOCK_TRY_STATUS(core::write_file(path, core::json_text(train::to_json(mine))));
  RankCommand rank;
  rank.command = {worker, path};
  if (network_ && !job.node_of_rank.empty()) {
    const auto node =
        static_cast<std::size_t>(job.node_of_rank[static_cast<std::size_t>(job.rank)]);
    rank.network_namespace = network_->nodes()[node].network_namespace;
  }
  // Each rank keeps to its own cores, in every kind of run to the same number of them.
  const auto cores = static_cast<std::size_t>(cores_of_rank_);
  const std::size_t first = static_cast<std::size_t>(job.rank) * cores;
  if (first + cores <= processors_.size()) {
    rank.processors.assign(processors_.begin() + static_cast<std::ptrdiff_t>(first),
                           processors_.begin() + static_cast<std::ptrdiff_t>(first + cores));
  }
  launch.ranks.push_back(std::move(rank));
  return {};
}

void Setting::add_loader(const Job& job, bool cold, Launch& launch) const {
  const LoaderOptions& loader = options_.loader;
  RankCommand companion;
  companion.name = fmt::format("the loader of rank {}", job.rank);
  companion.command = {loader_,     "load",
                       "run",       options_.data,
                       "--channel", channel_of(job.rank),
                       "--batch",   std::to_string(job.batch),
                       "--workers", std::to_string(workers()),
                       "--rank",    std::to_string(job.rank),
                       "--world",   std::to_string(job.world),
                       "--seed",    std::to_string(options_.seed),
                       "--size",    std::to_string(loader.size),
                       "--cache",   loader.cache};
  const auto add = [&](const char* name, const std::string& value) {
    if (value.empty()) return;
    companion.command.emplace_back(name);
    companion.command.push_back(value);
  };
  add("--cache-size", loader.cache_size);
  add("--disk-limit", loader.disk_limit);
  add("--max-bad", fmt::format("{}", loader.max_bad));
  if (cold) companion.command.emplace_back("--drop-caches");
  const auto cores = static_cast<std::size_t>(loader.cores);
  if (cores > 0 && cores < processors_.size()) {
    companion.processors.assign(processors_.begin(),
                                processors_.begin() + static_cast<std::ptrdiff_t>(cores));
  }
  launch.companions.push_back(std::move(companion));
}

RankCommand Setting::attached(RunKind kind, const Job& job) const {
  const int of_node = slurm_ ? std::max(1, job.world / options_.nodes) : job.world;
  RankCommand rank;
  rank.command = options_.attach;
  rank.environment = {
      {"PENSTOCK_DATA", needs_data(kind) ? "real" : "synthetic"},
      {"PENSTOCK_ALL_REDUCE", job.all_reduce ? "on" : "off"},
      {"PENSTOCK_STEP_COUNT", std::to_string(options_.steps + options_.warmup)},
      // As torchrun has them.
      {"RANK", std::to_string(job.rank)},
      {"LOCAL_RANK", std::to_string(job.rank % of_node)},
      {"WORLD_SIZE", std::to_string(job.world)},
      {"LOCAL_WORLD_SIZE", std::to_string(of_node)},
      {"MASTER_ADDR", slurm_ ? slurm_->nodes().address : "127.0.0.1"},
      // Another port for each run: the last one's may still linger in the kernel.
      {"MASTER_PORT", std::to_string(29500 + runs_ % 1000)},
  };
  return rank;
}

// Every run has a rendezvous of its own.
void Setting::begin_run() {
  ++runs_;
  rendezvous_ = slurm_ ? slurm_->new_rendezvous()
                       : fmt::format("{}/run{}.rendezvous", folder_->path(), runs_);
}

Result<Launch> Setting::launch_of(RunKind kind) {
  Launch launch;
  launch.slurm = slurm_nodes(spans_nodes(kind));
  const int world = kind == RunKind::kSingle ? 1 : options_.ranks;
  const bool cold = kind == RunKind::kCold;
  for (int rank = 0; rank < world; ++rank) {
    const Job job = job_of(kind, rank);
    if (!options_.attach.empty()) {
      launch.ranks.push_back(attached(kind, job));
      continue;
    }
    PENSTOCK_TRY_STATUS(add_rank(job, worker_, needs_data(kind), launch));
    if (needs_data(kind)) add_loader(job, cold, launch);
  }
  if (!options_.attach.empty() && cold) drop_caches(options_.data);
  return launch;
}

Result<train::RunRecord> Setting::run(RunKind kind, int number) {
  begin_run();
  PENSTOCK_TRY(const Launch launch, launch_of(kind));
  auto record = train::run_ranks(launch);
  if (!record) {
    return core::fail(std::move(record).error().within(
        fmt::format("run {} (\"{}\")", number + 1, run_kind_name(kind))));
  }
  return record;
}

Result<double> Setting::loader_rate(bool cold) {
  begin_run();
  Launch launch;
  launch.slurm = slurm_nodes(true);
  for (int rank = 0; rank < options_.ranks; ++rank) {
    Job job = job_of(RunKind::kWarm, rank);
    // An accelerator that takes no time at all: the loader alone sets the pace.
    job.accelerator = {};
    job.all_reduce = false;
    job.transport = Transport::kRing;
    job.interface.clear();
    job.node_of_rank.clear();
    PENSTOCK_TRY_STATUS(add_rank(job, emulated_worker_, true, launch));
    // The loaders need the cores that the ranks leave free.
    launch.ranks.back().processors.clear();
    add_loader(job, cold, launch);
  }
  auto record = train::run_ranks(launch);
  if (!record) return core::fail(std::move(record).error().within("the loader alone"));
  if (record->interrupted) return core::negative("the loader alone", "interrupted");
  double rate = 0;
  for (const train::RankRecord& rank : record->ranks) {
    const auto first = static_cast<std::size_t>(std::max<std::int64_t>(1, options_.warmup));
    if (rank.steps.size() <= first) continue;
    std::int64_t samples = 0;
    for (std::size_t i = first; i < rank.steps.size(); ++i) samples += rank.steps[i].samples;
    const std::int64_t time = rank.steps.back().end_ns - rank.steps[first - 1].end_ns;
    if (time > 0) rate += static_cast<double>(samples) * 1e9 / static_cast<double>(time);
  }
  if (!(rate > 0)) return core::negative("the loader alone", "delivered nothing to time");
  return rate;
}

Result<double> Setting::marker_cost() {
  begin_run();
  constexpr std::int64_t kSteps = 2000;
  Job job = job_of(RunKind::kSingle, 0);
  job.accelerator = {};
  job.batch = 1;
  job.steps = kSteps;
  job.warmup = 10;
  Launch launch;
  launch.slurm = slurm_nodes(false);
  PENSTOCK_TRY_STATUS(add_rank(job, emulated_worker_, false, launch));
  PENSTOCK_TRY(const train::RunRecord record, train::run_ranks(launch));
  const auto& steps = record.ranks.front().steps;
  if (steps.size() < 2) return core::negative("markers", "no step came back");
  const std::int64_t time = steps.back().end_ns - steps.front().end_ns;
  return static_cast<double>(time) * 1e-9 / static_cast<double>(steps.size() - 1);
}

}  // namespace penstock::profile::internal
