#include "penstock/profile/train_profile.h"

#include <fmt/format.h>

#include <memory>

#include "penstock/profile/internal/setting.h"

namespace penstock::profile {

Result<TrainProfile> profile_training(const TrainProfileOptions& options) {
  TrainProfile profile;
  profile.options = options;
  PENSTOCK_TRY(const std::unique_ptr<internal::Setting> setting,
               internal::Setting::prepare(profile));
  internal::FolderContent content{options.dataset_samples, options.dataset_bytes};
  if (!options.data.empty() && content.files == 0) {
    PENSTOCK_TRY(content, internal::measure_folder(options.data));
  }
  profile.dataset_bytes = content.bytes;
  profile.dataset_samples = content.files;
  if (content.files > 0) profile.sample_bytes = content.bytes / static_cast<double>(content.files);
  if (!options.data.empty() && options.attach.empty()) {
    if (options.progress) fmt::print(stderr, "    the loader alone, cold and warm\n");
    // Cold first: it leaves in the cache what every later run reads, for all runs have one order.
    PENSTOCK_TRY(profile.fetch_rate, setting->loader_rate(true));
    PENSTOCK_TRY(profile.prep_rate, setting->loader_rate(false));
  }
  if (options.attach.empty()) {
    PENSTOCK_TRY(profile.marker_s, setting->marker_cost());
  }
  PENSTOCK_TRY_STATUS(
      conduct([&](RunKind kind, int number) { return setting->run(kind, number); }, profile));
  return profile;
}

}  // namespace penstock::profile
