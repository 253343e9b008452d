// A plan carried out on virtual workers: one for each side of each split of the device tree, and
// one for each device of a mesh.
//
// Levels convert as the model has it (level_model.h). Forward from the top: a tree node has its
// whole local tensors, its sides own of them what the producer's layout leaves them, and receive
// from each other what the consumer's layout needs beyond. Backward from the bottom, in reverse. A
// side is a worker of its own: what it receives is counted once, however many devices stand below
// it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "penstock/partition/internal/level_model.h"
#include "penstock/partition/internal/verify_mesh.h"
#include "penstock/partition/internal/verify_program.h"
#include "penstock/partition/internal/verify_transport.h"
#include "penstock/partition/partition.h"

namespace penstock::partition::internal {

// A tree node on its path from the root; both halves of an even split are positions of their own.
struct Position {
  int tree = 0;  // DeviceTree node
  int parent = -1;
  int side = 0;
  int children[2] = {-1, -1};  // one is missing where its side is idle
  std::string name;
  int worker = -1;           // in the transport; none for the root
  std::vector<int> devices;  // likewise, of a mesh
  std::shared_ptr<MeshSpace> space;
  std::shared_ptr<MeshExchange> exchange;
  std::vector<Lists> lists;     // by network node
  std::vector<Extent> extents;  // their sizes
  std::vector<bool> first;      // by network node: this summand has the offsets

  bool leaf() const { return children[0] < 0 && children[1] < 0; }
  bool splits() const { return children[0] >= 0 && children[1] >= 0; }
};

class PlanRun {
 public:
  PlanRun(const Program& program, const PartitionPlan& plan, std::int64_t lost_element,
          int threads);

  void run();

  const std::vector<Position>& positions() const { return positions_; }
  const Transport& transport() const { return transport_; }
  const TreeOptions& options() const { return options_; }
  const Split& split_at(const Position& position) const {
    return plan_.tree.splits[static_cast<std::size_t>(position.tree)];
  }
  const MeshPlan& mesh_at(const Position& position) const {
    return plan_.tree.meshes[static_cast<std::size_t>(position.tree)];
  }
  double output_error() const { return outputs_apart_.largest(); }
  double gradient_error() const { return gradients_apart_.largest(); }

 private:
  // One worker's part of one network node.
  struct Item {
    Lists lists;
    bool first = true;
    std::vector<Block> inputs;
    Block output;
    Block gradient;  // of the output
    NodeGradients gradients;
  };
  struct NodeGradient {
    std::vector<Block> inputs;
    std::vector<Array> parameters;
  };

  int add_position(int tree, int parent, int side, std::vector<Lists> lists,
                   std::vector<bool> first);
  void add_mesh(Position& position);
  Lists side_lists(int v, const Lists& lists, const Split& split, int side) const;
  Indices half(const Indices& list, double share, int side) const;
  Rectangle part(Layout layout, const Rectangle& whole, double share, int side) const;
  int state(const Position& position, int v) const;
  template <typename Work>
  void in_parallel(std::size_t count, const Work& work) const;

  void forward(int v);
  void descend(int position, int v, std::vector<Pieces> inputs);
  Pieces ascend(int position, int v);
  std::vector<Pieces> halve(const Position& position, int edge, const Pieces& tensor);
  Pieces cross(const Position& position, int side, Movement movement, const Pieces& from,
               const std::vector<Rectangle>& rectangles);
  Pieces reduce(const Position& position, int v, const Pieces& first, const Pieces& second);
  void descend_mesh(int position, int v, const std::vector<Pieces>& inputs);
  Pieces ascend_mesh(int position, int v);

  void backward(int v);
  void descend_back(int position, int v, const Block& gradient);
  NodeGradient ascend_back(int position, int v);
  Block join_back(const Position& position, int edge, Block first, Block second);
  Array join_parameter(const Position& position, int v, std::size_t parameter, const Array& first,
                       const Array& second);
  NodeGradient ascend_mesh_back(int position, int v);
  std::vector<Array> mesh_parameters(const Position& position, int v);
  void compare_parameters(int v, const NodeGradient& gradient);

  const Program& program_;
  const Network& network_;
  const PartitionPlan& plan_;
  DeviceTree tree_;
  TreeOptions options_;
  int threads_;
  Transport transport_;
  std::vector<Position> positions_;
  std::vector<std::vector<Item>> items_;          // by network node
  std::vector<std::vector<std::size_t>> starts_;  // by network node and position
  std::vector<Pieces> outputs_;                   // by network node, at the root
  std::vector<Block> edge_gradients_;             // by edge, likewise
  std::vector<Array> parameter_gradients_;        // by tensor
  Disagreement outputs_apart_;
  Disagreement gradients_apart_;
};

}  // namespace penstock::partition::internal
