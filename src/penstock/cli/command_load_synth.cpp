// penstock load synth: a data set of JPEG files for a machine that has none.
#include <fmt/format.h>

#include "penstock/cli/command_load.h"
#include "penstock/core/quantity.h"
#include "penstock/loader/dataset.h"
#include "penstock/loader/synth.h"
#include "penstock/version.h"

namespace penstock::cli {
namespace {

class LoadSynthCommand : public Command {
 public:
  std::string name() const override { return "synth"; }
  std::string summary() const override {
    return "Make a data set of JPEG files with ImageNet-like sizes and spectra";
  }
  std::string example() const override {
    return "penstock load synth data --images 1000 --classes 10";
  }

  void declare(CLI::App& app) override {
    app.add_option("DIR", folder_, "A new folder, or one to go on with")->required()->type_name("");
    app.add_option("--images", options_.images, "Default 1000")
        ->check(CLI::Range(std::int64_t{1}, std::int64_t{100'000'000}))
        ->type_name("N");
    app.add_option("--classes", options_.classes, "Default 10")
        ->check(CLI::Range(std::int64_t{1}, std::int64_t{1'000'000}))
        ->type_name("N");
    app.add_option("--shards", options_.shards, "Write this many tar shards, not a folder tree")
        ->check(CLI::Range(std::int64_t{1}, std::int64_t{1'000'000}))
        ->type_name("N");
    app.add_option("--seed", options_.seed, "The same seed, the same bytes; default 0")
        ->type_name("N");
    app.add_option("--threads", options_.threads, "Default: one a processor")
        ->check(CLI::Range(1, 1024))
        ->type_name("N");
    output_.declare(app);
  }

  Status run() override {
    options_.progress = true;
    PENSTOCK_TRY_STATUS(loader::synthesize(folder_, options_));
    PENSTOCK_TRY(const loader::Dataset data, loader::Dataset::open(folder_));
    const auto images = static_cast<std::int64_t>(data.samples().size());
    const core::Json document = {
        {"folder", folder_},         {"images", images},      {"classes", data.classes().size()},
        {"shards", options_.shards}, {"bytes", data.bytes()}, {"seed", options_.seed},
        {"version", kVersion}};
    return output_.emit(
        document,
        fmt::format("{} images of {} classes in {}, {}, {} on average\n", images,
                    data.classes().size(), folder_,
                    core::format_quantity(Bytes(static_cast<double>(data.bytes()))),
                    core::format_quantity(Bytes(static_cast<double>(data.bytes() / images)))));
  }

 private:
  std::string folder_;
  loader::SynthOptions options_;
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Command> make_load_synth_command() { return std::make_unique<LoadSynthCommand>(); }

}  // namespace penstock::cli
