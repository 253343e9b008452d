// What `penstock profile` is made of: one object a subcommand.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>

#include "penstock/core/result.h"

namespace penstock::cli::internal {

class ProfileSubcommand {
 public:
  virtual ~ProfileSubcommand() = default;
  // Adds itself below `parent`; gives its own application.
  virtual CLI::App* declare(CLI::App& parent) = 0;
  virtual Status prepare() { return {}; }
  virtual Status run() = 0;
};

std::unique_ptr<ProfileSubcommand> make_profile_train();
std::unique_ptr<ProfileSubcommand> make_profile_link();
std::unique_ptr<ProfileSubcommand> make_profile_what_if();

}  // namespace penstock::cli::internal
