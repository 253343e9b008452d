// The door between the file and the graph: no exception passes it.
#include <exception>
#include <new>

#include "penstock/core/file.h"
#include "penstock/model/graph.h"
#include "penstock/model/internal/assemble.h"

namespace penstock::model {
namespace {

using core::input_error;
using internal::BatchChange;
using internal::GraphIndex;
using internal::Pass;
using internal::Preference;
using internal::Roles;

// 2^31 items: beyond it nothing that we plan makes sense, and products would overflow early.
constexpr std::int64_t kMaxBatch = std::int64_t{1} << 31;

Result<Pass> rebatch(const GraphIndex& index, const Roles& roles, Pass base, std::int64_t batch) {
  if (base.batch == batch) return base;
  const std::string& file = index.wire->file;
  if (!base.has_batch) {
    return input_error(file, "no data input has a batch dimension to set",
                       "read the model at its own batch");
  }
  BatchChange change{.from = base.batch, .to = batch, .preference = Preference::kOuter};
  Result<Pass> pass = infer_rebatched(index, roles, base, change);
  if (!pass) {
    change.preference = Preference::kInner;
    Result<Pass> other = infer_rebatched(index, roles, base, change);
    if (other) pass = std::move(other);
  }
  if (pass) pass->warnings = std::move(base.warnings);
  return pass;
}

Result<Graph> parse(const std::string& bytes, const std::string& name, const ReadOptions& options) {
  if (options.batch && (*options.batch < 1 || *options.batch > kMaxBatch)) {
    return input_error(name, "the batch " + std::to_string(*options.batch) + " is out of range",
                       "give a batch from 1 to 2147483648");
  }
  PENSTOCK_TRY(const internal::WireGraph wire, internal::parse_wire(bytes, name));
  PENSTOCK_TRY(const GraphIndex index, internal::index_graph(wire));
  const Roles roles = internal::assign_roles(index);
  PENSTOCK_TRY(Pass pass, internal::infer(index, roles));
  if (options.batch) {
    PENSTOCK_TRY(pass, rebatch(index, roles, std::move(pass), *options.batch));
  }
  Graph graph = internal::assemble(index, roles, std::move(pass));
  std::int64_t held = graph.parameters;
  for (const Tensor& tensor : graph.tensors) {
    held = internal::saturating_add(held, elements(tensor.shape));
  }
  // A quarter, so that the bytes of all tensors together can be counted too.
  if (graph.macs() > internal::kMaxCount || held > internal::kMaxCount / 4) {
    return input_error(name, "the network is too large to count");
  }
  return graph;
}

}  // namespace

Result<Graph> parse_onnx(const std::string& bytes, const std::string& name,
                         const ReadOptions& options) {
  try {
    return parse(bytes, name, options);
  } catch (const std::bad_alloc&) {
    return input_error(name, "the model needs more memory than there is");
  } catch (const std::exception& e) {
    Error error;
    error.kind = ErrorKind::kBug;
    error.message = e.what();
    error.where = name;
    return core::fail(std::move(error));
  }
}

Result<Graph> read_onnx(const std::string& path, const ReadOptions& options) {
  PENSTOCK_TRY(const std::string bytes, core::read_file(path));
  return parse_onnx(bytes, path, options);
}

}  // namespace penstock::model
