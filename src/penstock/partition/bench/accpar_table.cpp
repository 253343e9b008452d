// AccPar's evaluation as we reconstruct it, beside the published means: speed-ups over data
// parallelism on nine networks (room page "partition", section 1.9).
#include <fmt/format.h>

#include <cmath>

#include "penstock/core/table.h"
#include "penstock/model/zoo.h"
#include "penstock/partition/partition.h"

namespace penstock::partition {
namespace {

hardware::DeviceGroup boards(const char* name, double flop_per_s, double bytes_per_s) {
  hardware::DeviceGroup group;
  group.name = name;
  group.count = group.per_node = 128;
  group.peak = FlopRate(flop_per_s);
  group.link = Bandwidth(bytes_per_s);
  return group;
}

hardware::Array unlike_boards() {
  hardware::Array array;
  array.groups = {boards("v2", 180e12, 1e9), boards("v3", 420e12, 2e9)};
  array.between = Bandwidth(1e9);
  return array;
}

hardware::Array like_boards() {
  hardware::Array array;
  array.groups = {boards("v3", 420e12, 2e9)};
  array.between = Bandwidth(2e9);
  return array;
}

// Published geometric means of OWT, HyPar and AccPar; those of like boards are recalled.
struct Published {
  double owt, hypar, accpar;
};

void print_table(const char* title, const hardware::Array& array, const Published& paper) {
  using A = core::Table::Align;
  core::Table table({{"network"},
                     {"data", A::kRight},
                     {"OWT", A::kRight},
                     {"HyPar", A::kRight},
                     {"AccPar", A::kRight}});
  double logs[3] = {};
  for (const std::string& name : model::zoo_names()) {
    const Network network = *lower(*model::zoo(name, 512));
    const DeviceTree tree = build_tree(array);
    std::vector<double> steps;
    for (const Strategy strategy : all_strategies()) {
      const TreePlan plan = plan_tree(network, tree, array, strategy, paper_options());
      steps.push_back(evaluate_tree(network, tree, plan, array, paper_options()).step.value());
    }
    std::vector<std::string> cells = {name, fmt::format("{:.3f} ms", steps[0] * 1e3)};
    for (std::size_t i = 1; i < steps.size(); ++i) {
      cells.push_back(fmt::format("{:.2f}", steps[0] / steps[i]));
      logs[i - 1] += std::log(steps[0] / steps[i]) / 9;
    }
    table.add_row(std::move(cells));
  }
  table.add_row({"geometric mean", "", fmt::format("{:.2f}", std::exp(logs[0])),
                 fmt::format("{:.2f}", std::exp(logs[1])),
                 fmt::format("{:.2f}", std::exp(logs[2]))});
  table.add_row({"the paper's", "", fmt::format("{:.2f}", paper.owt),
                 fmt::format("{:.2f}", paper.hypar), fmt::format("{:.2f}", paper.accpar)});
  fmt::print("{}\n{}\n", title, table.text());
}

}  // namespace
}  // namespace penstock::partition

int main() {
  using namespace penstock::partition;  // NOLINT(google-build-using-namespace)
  print_table("128 TPU-v2 and 128 TPU-v3 boards, batch 512: speed-up over data parallelism",
              unlike_boards(), {2.98, 3.78, 6.30});
  print_table("128 TPU-v3 boards, batch 512 (the paper's means as recalled)", like_boards(),
              {2.94, 3.51, 3.86});
}
