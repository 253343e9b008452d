// The exchanges of a mesh, carried out: rings and fetches between blocks of devices.
#pragma once

#include <vector>

#include "penstock/partition/internal/mesh_model.h"
#include "penstock/partition/internal/verify_transport.h"

namespace penstock::partition::internal {

class MeshExchange {
 public:
  // `workers` are the devices in the transport.
  MeshExchange(const MeshSpace& space, std::vector<int> workers, Transport& transport)
      : space_(space), workers_(std::move(workers)), transport_(transport) {}

  const MeshSpace& space() const { return space_; }
  int devices() const { return space_.devices(); }
  // What a device has of a list when `axes` cut it.
  Indices rows_of(int device, const Indices& rows, Axes axes) const;
  Indices columns_of(int device, const Indices& columns, Axes axes) const;
  // The device's place among those that differ from it along `axes` only.
  int rank_in(int device, Axes axes) const;

  // Ring all-reduces along `axes`, in chunks of consecutive elements.
  void all_reduce(Axes axes, Movement movement, std::vector<std::vector<double>*> arrays) const;
  // Brings every device's block from `before` to conversion.after; rows and columns are those of
  // the whole tensor on the mesh.
  std::vector<Block> convert(const Conversion& conversion, std::vector<Block> blocks,
                             const Indices& rows, const Indices& columns) const;

 private:
  // The devices that differ along `axes` only, each such set once, by rank.
  std::vector<std::vector<int>> rings(Axes axes) const;
  void ring(const std::vector<int>& devices, Movement movement,
            const std::vector<std::vector<double>*>& arrays) const;
  std::vector<Block> reduce_scatter(const Conversion& c, const std::vector<Block>& blocks,
                                    const Indices& rows, const Indices& columns) const;
  std::vector<Block> fetch(const Conversion& c, const std::vector<Block>& blocks,
                           const Indices& rows, const Indices& columns) const;

  const MeshSpace& space_;
  std::vector<int> workers_;
  Transport& transport_;
};

}  // namespace penstock::partition::internal
