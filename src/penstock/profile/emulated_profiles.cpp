#include "penstock/core/nearest.h"
#include "penstock/profile/train_profile.h"

namespace penstock::profile {

// Batch, step and bytes of a sample: MLPerf Storage's workload files (room page "profiling", 4).
// Parameters and tensors of ResNet-50: the same page, 1.7; the two others' are not published there.
const std::vector<EmulatedProfile>& emulated_profiles() {
  static const std::vector<EmulatedProfile> profiles = {
      {"resnet50-a100", 400, Seconds(0.435), 114660, 25.557e6, 161},
      {"resnet50-h100", 400, Seconds(0.224), 114660, 25.557e6, 161},
      {"unet3d-a100", 7, Seconds(0.636), 146.6e6, 0, 0},
      {"unet3d-h100", 7, Seconds(0.323), 146.6e6, 0, 0},
      {"cosmoflow-a100", 1, Seconds(0.00551), 2.83e6, 0, 0},
      {"cosmoflow-h100", 1, Seconds(0.00350), 2.83e6, 0, 0},
  };
  return profiles;
}

Result<EmulatedProfile> emulated_profile(const std::string& name) {
  std::vector<std::string> names;
  std::string known;
  for (const EmulatedProfile& profile : emulated_profiles()) {
    if (profile.name == name) return profile;
    names.push_back(profile.name);
    known += (known.empty() ? "" : ", ") + profile.name;
  }
  const std::string hint = core::did_you_mean(name, names);
  return core::input_error("--emulate", "\"" + name + "\" is no emulated accelerator",
                           hint.empty() ? "use one of " + known : hint);
}

}  // namespace penstock::profile
