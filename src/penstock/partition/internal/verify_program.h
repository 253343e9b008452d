// A network as the steps that each node runs, on whole tensors or on the part of one worker.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "penstock/core/result.h"
#include "penstock/model/graph.h"
#include "penstock/partition/internal/lowering_rules.h"
#include "penstock/partition/internal/verify_block.h"
#include "penstock/partition/internal/verify_operators.h"
#include "penstock/partition/network.h"

namespace penstock::partition::internal {

// The batch items and channels of one node that a worker has.
struct Lists {
  Indices rows;
  Indices in;
  Indices out;
};
Lists whole_lists(const Node& node);

struct Step {
  int op = 0;
  int output = 0;      // of the operator
  bool inside = true;  // false: finishes an input, on the channels of the node's input side
};

struct Parameter {
  std::size_t step = 0;
  std::size_t input = 0;
  int tensor = -1;
  Operand kind = Operand::kWeight;
};

// What a node runs. The first operator that is not linear in a layer's result, and all after it,
// must wait for partial sums; where the layer leaves any, they run as the first steps of its
// consumer.
struct NodeProgram {
  std::vector<Step> steps;
  std::vector<int> entries;  // tensors, by in-edge
  int exit = -1;             // tensor
  std::vector<Parameter> parameters;
};

struct NodeGradients {
  std::vector<Block> inputs;      // by in-edge; empty where no gradient flows
  std::vector<Array> parameters;  // by NodeProgram::parameters
};

class Program {
 public:
  // `partial` marks the nodes whose result may be a partial sum.
  static Result<Program> build(const model::Graph& graph, const Network& network,
                               const std::vector<bool>& partial, std::uint64_t seed);

  const Network& network() const { return *network_; }
  const NodeProgram& node(int v) const { return nodes_[static_cast<std::size_t>(v)]; }
  const Grid& grid(int tensor) const { return grids_[static_cast<std::size_t>(tensor)]; }
  // The tensor that an edge carries, and what a node with such lists has of it.
  int edge_tensor(int edge) const;
  Lists input_lists(int edge, const Lists& lists) const;  // rows and `in`
  Lists output_lists(int v, const Lists& lists) const;    // rows and `out`
  Frame parameter_frame(int v, const Parameter& parameter, const Lists& lists) const;

  // `first`: adds the offsets of a partial sum, which only one summand has.
  Block run(int v, const Lists& lists, bool first, const std::vector<Block>& inputs) const;
  NodeGradients run_back(int v, const Lists& lists, bool first, const std::vector<Block>& inputs,
                         const Block& gradient) const;

  // The unsplit run, operator by operator.
  const Array& value(int tensor) const { return values_[static_cast<std::size_t>(tensor)]; }
  const Array& gradient(int tensor) const { return gradients_[static_cast<std::size_t>(tensor)]; }
  const model::Graph& graph() const { return *graph_; }
  bool has_batch_norm() const { return has_batch_norm_; }

 private:
  // The dense tensors of one node on one worker, by tensor.
  using Arrays = std::map<int, Array>;
  using Frames = std::map<int, Frame>;

  Status gather_nodes(const std::vector<bool>& partial);
  Status check_operator(int op) const;
  Result<std::size_t> offload(NodeProgram& node, const Node& source, bool partial) const;
  void draw(std::uint64_t seed);
  Status run_whole();
  void run_whole_back(std::uint64_t seed);
  bool trained(int tensor) const;
  bool fixed(int tensor) const { return tracker_->origin(tensor) == Origin::kFixed; }
  bool depends_on_parameters(int tensor) const;
  std::int64_t integer_bound(int tensor) const;

  Frame activation_frame(int v, int tensor, bool inside, const Lists& lists) const;
  Frame operand_frame(int v, const Step& step, std::size_t input, const Frame& result,
                      const Lists& lists) const;
  Invocation invocation(int v, const Step& step, const Lists& lists, Frames& frames) const;
  // Runs a node's steps; keeps every tensor, operands of step s at operands[s].
  void execute(int v, const Lists& lists, bool first, const std::vector<Block>& inputs,
               Arrays& tensors, std::vector<Invocation>& calls,
               std::vector<std::vector<Array>>& operands) const;

  const model::Graph* graph_ = nullptr;
  const Network* network_ = nullptr;
  std::shared_ptr<Tracker> tracker_;
  std::vector<NodeProgram> nodes_;
  std::vector<Grid> grids_;       // by tensor
  std::vector<Array> values_;     // likewise
  std::vector<Array> gradients_;  // likewise
  std::vector<int> order_;        // the operators of all nodes
  std::vector<int> last_;         // tensors that nothing reads
  bool has_batch_norm_ = false;
};

}  // namespace penstock::partition::internal
