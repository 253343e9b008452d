#include "penstock/profile/what_if_validation.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "penstock/core/interrupt.h"
#include "penstock/profile/internal/setting.h"

namespace penstock::profile {
namespace {

Result<internal::FolderContent> content_of(const ValidationOptions& options) {
  internal::FolderContent content{options.dataset_samples, options.dataset_bytes};
  if (content.files == 0) {
    PENSTOCK_TRY(content, internal::measure_folder(options.data));
  }
  if (content.files < 10 * options.batch) {
    return core::input_error(options.data, fmt::format("{} images are too few", content.files),
                             "make more: penstock load synth DIR --images 400");
  }
  return content;
}

// A job that takes what the loader gives at once.
TrainProfile loader_job(const ValidationOptions& options) {
  TrainProfile profile;
  profile.options.emulate = EmulatedProfile{"loader", options.batch, Seconds(0), 0, 0, 0};
  profile.options.data = options.data;
  profile.options.batch = options.batch;
  profile.options.seed = options.seed;
  profile.options.loader_program = options.loader_program;
  profile.options.loader.workers = options.workers;
  return profile;
}

std::string counted(int number, const char* what) {
  return fmt::format("{} {}{}", number, what, number == 1 ? "" : "s");
}

}  // namespace

Result<std::vector<ValidationCase>> validate_caches(const ValidationOptions& options) {
  if (options.policy != CachePolicy::kLru && options.policy != CachePolicy::kMinio) {
    return core::input_error("--validate", "only the loader's own caches can be sized",
                             "use --cache lru or --cache minio");
  }
  PENSTOCK_TRY(const internal::FolderContent content, content_of(options));
  TrainProfile profile = loader_job(options);
  profile.options.loader.size = 64;  // the cache is what is asked about, not the decoder
  const std::int64_t epoch = content.files / options.batch;
  profile.options.warmup = 2 * epoch;
  profile.options.steps = epoch;
  PENSTOCK_TRY(const std::unique_ptr<internal::Setting> setting,
               internal::Setting::prepare(profile));
  LoaderOptions& loader = profile.options.loader;
  loader.cache = "page";
  PENSTOCK_TRY(const double unlimited, setting->loader_rate(false));

  const double sample_bytes = content.bytes / static_cast<double>(content.files);
  PipelineFacts facts;
  facts.batch = static_cast<double>(options.batch);
  facts.step_s = facts.batch / (unlimited * 1e6);  // an accelerator that never binds
  facts.prep_cpu_s = options.workers / unlimited;
  facts.sample_bytes = sample_bytes;
  facts.dataset_bytes = content.bytes;
  std::vector<ValidationCase> cases;
  for (const double share : options.disk_shares) {
    for (const double fraction : options.fractions) {
      if (core::interrupted()) return core::negative("--validate", "interrupted");
      ValidationCase one{options.policy, fraction, share * unlimited * sample_bytes, 0, 0, 0};
      Conditions conditions;
      conditions.cores = options.workers;
      conditions.disk_bytes_per_s = one.disk_bytes_per_s;
      conditions.policy = options.policy;
      conditions.cache_bytes = fraction * content.bytes;
      one.predicted = predict(facts, conditions).samples_per_s;
      one.as_ds_analyzer = predict_as_ds_analyzer(facts, conditions).samples_per_s;
      loader.cache = cache_policy_name(options.policy);
      loader.cache_size = fmt::format("{:.0f} B", conditions.cache_bytes);
      loader.disk_limit = fmt::format("{:.0f} B/s", conditions.disk_bytes_per_s);
      if (options.progress) {
        fmt::print(stderr, "    {} holding {:.2f}, disk {}\n", loader.cache, fraction,
                   core::format_quantity(Bandwidth(one.disk_bytes_per_s)));
      }
      PENSTOCK_TRY(one.measured, setting->loader_rate(false));
      cases.push_back(one);
    }
  }
  return cases;
}

Result<std::vector<ThrottledCase>> validate_workers(const ValidationOptions& options) {
  PENSTOCK_TRY(const internal::FolderContent content, content_of(options));
  TrainProfile profile = loader_job(options);
  constexpr std::int64_t kEpochs = 4;  // against moments in which others use the cores
  profile.options.warmup = content.files / options.batch;
  profile.options.steps = kEpochs * profile.options.warmup;
  PENSTOCK_TRY(const std::unique_ptr<internal::Setting> setting,
               internal::Setting::prepare(profile));
  LoaderOptions& loader = profile.options.loader;
  const auto measure = [&](int workers, int cores) {
    loader.workers = workers;
    loader.cores = cores;
    return setting->loader_rate(false);
  };
  PENSTOCK_TRY(const double one, measure(1, 1));
  PipelineFacts facts;
  facts.batch = static_cast<double>(options.batch);
  facts.step_s = facts.batch / (one * 1e6);  // an accelerator that never binds
  facts.prep_cpu_s = 1 / one;
  facts.sample_bytes = content.bytes / static_cast<double>(content.files);
  std::vector<ThrottledCase> cases;
  for (int cores = 1; cores <= profile.cores; cores *= 2) {
    for (int workers = 1; workers <= 2 * cores; workers *= 2) {
      if (core::interrupted()) return core::negative("--validate", "interrupted");
      ThrottledCase now{fmt::format("{} on {}", counted(workers, "worker"), counted(cores, "core")),
                        0, 0};
      if (options.progress) fmt::print(stderr, "    {}\n", now.conditions);
      Conditions conditions;
      conditions.cores = std::min(workers, cores);
      now.predicted = predict(facts, conditions).samples_per_s;
      PENSTOCK_TRY(now.measured, measure(workers, cores));
      cases.push_back(std::move(now));
    }
  }
  return cases;
}

}  // namespace penstock::profile
