#include "penstock/partition/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "penstock/core/quantity.h"
#include "penstock/partition/internal/tree_phases.h"
#include "penstock/partition/internal/verify_problem.h"
#include "penstock/partition/internal/verify_run.h"

namespace penstock::partition {
namespace {

using internal::Movement;
using internal::PlanRun;
using internal::Position;

// Elements that the side of a split receives, by the model on this problem; may not be whole.
double predicted_elements(const Network& network, const PlanRun& run, const Position& position) {
  const Position& parent = run.positions()[static_cast<std::size_t>(position.parent)];
  const LevelModel model(network, parent.extents, run.options());
  double bytes = 0;
  for (std::size_t v = 0; v < network.nodes.size(); ++v) {
    bytes +=
        node_received(network, model, run.split_at(parent), static_cast<int>(v), position.side);
  }
  return bytes / run.options().bytes_per_element;
}

class Reporter {
 public:
  Reporter(const Network& network, const PartitionPlan& plan, const PlanRun& run)
      : network_(network), plan_(plan), run_(run) {}

  VerifyReport report(double tolerance) {
    report_.output_error = run_.output_error();
    report_.gradient_error = run_.gradient_error();
    for (const Position& position : run_.positions()) {
      if (position.worker >= 0) {
        const double elements = predicted_elements(network_, run_, position);
        // Shares are fractions in the model, so that its sums carry their rounding errors.
        const double whole = std::round(elements);
        if (!(std::abs(elements - whole) <= 1e-6 * std::max(1.0, whole))) exact_ = false;
        add(position.name, position.worker,
            std::isfinite(whole) ? static_cast<std::int64_t>(whole) : -1);
      }
      for (std::size_t d = 0; d < position.devices.size(); ++d) {
        std::int64_t elements = 0;
        for (std::size_t v = 0; v < network_.nodes.size(); ++v) {
          elements +=
              mesh_received(network_, position.extents, *position.space, run_.mesh_at(position),
                            static_cast<int>(v), static_cast<int>(d), plan_.mesh_options);
        }
        add(fmt::format("{}/{}", position.name, d), position.devices[d], elements);
      }
    }
    // Only the paper's table leaves the change of a ratio out.
    if (plan_.mode != Mode::kPaper && report_.ratio_change_bytes > 0) exact_ = false;
    report_.ok = exact_ && report_.output_error <= tolerance && report_.gradient_error <= tolerance;
    return std::move(report_);
  }

 private:
  std::int64_t bytes(std::int64_t elements) const {
    return std::llround(static_cast<double>(elements) * plan_.tree_options.bytes_per_element);
  }

  void add(std::string name, int worker, std::int64_t predicted) {
    const internal::Transport& transport = run_.transport();
    const std::int64_t received = transport.received(worker, Movement::kPlanned);
    if (received != predicted) exact_ = false;
    report_.workers.push_back({std::move(name), bytes(received), bytes(predicted)});
    report_.ratio_change_bytes += bytes(transport.received(worker, Movement::kRatioChange));
    report_.scale_gradient_bytes += bytes(transport.received(worker, Movement::kScaleGradient));
  }

  const Network& network_;
  const PartitionPlan& plan_;
  const PlanRun& run_;
  VerifyReport report_;
  bool exact_ = true;
};

// Nodes whose result may be a partial sum somewhere.
std::vector<bool> partial_nodes(const Network& network, const PartitionPlan& plan) {
  std::vector<bool> partial(network.nodes.size(), false);
  for (std::size_t v = 0; v < network.nodes.size(); ++v) {
    if (network.nodes[v].kind != NodeKind::kLayer) continue;
    for (const Split& split : plan.tree.splits) {
      if (!split.states.empty() && split.states[v] == static_cast<int>(Type::kIn)) {
        partial[v] = true;
      }
    }
    for (const MeshPlan& mesh : plan.tree.meshes) {
      if (!mesh.states.empty() && (mesh.states[v].in & ~mesh.states[v].out) != 0) {
        partial[v] = true;
      }
    }
  }
  return partial;
}

void add_notes(const internal::Program& program, const internal::Problem& problem,
               VerifyReport& report) {
  if (problem.smaller) {
    report.notes.push_back(fmt::format("run on a smaller problem: batch {}, {} elements",
                                       report.batch, report.elements));
  }
  if (problem.raised_shares > 0) {
    report.notes.push_back(fmt::format("{} shares were moved to leave every device one whole item",
                                       problem.raised_shares));
  }
  if (program.has_batch_norm()) {
    report.notes.emplace_back(
        "batch norm runs with given statistics, as in inference: those of each worker's own rows "
        "would differ from the unsplit run's");
  }
  if (report.ratio_change_bytes > 0) {
    report.notes.push_back(
        fmt::format("ratio changes between layers moved {} that the prediction does not charge",
                    core::format_quantity(Bytes(static_cast<double>(report.ratio_change_bytes)))));
  }
  if (report.scale_gradient_bytes > 0) {
    report.notes.push_back(fmt::format(
        "gradients of scales behind partial sums moved {} that no table charges",
        core::format_quantity(Bytes(static_cast<double>(report.scale_gradient_bytes)))));
  }
}

}  // namespace

Result<VerifyReport> verify_plan(const model::Graph& graph, const Network& network,
                                 const PartitionPlan& plan, const VerifyOptions& options) {
  PENSTOCK_TRY(const internal::Problem problem,
               internal::smaller_problem(graph, network, plan, options.max_elements));
  PENSTOCK_TRY(const internal::Program program,
               internal::Program::build(problem.graph, problem.network,
                                        partial_nodes(network, problem.plan), options.seed));
  PlanRun run(program, problem.plan, options.lose_element, options.threads);
  run.run();
  VerifyReport report = Reporter(problem.network, problem.plan, run).report(options.tolerance);
  report.batch = problem.graph.batch;
  report.elements = problem.elements;
  add_notes(program, problem, report);
  return report;
}

}  // namespace penstock::partition
