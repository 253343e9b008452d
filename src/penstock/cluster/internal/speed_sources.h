// From what is known of a job to the speed of one shape of placement: the order of sources that
// speed.h states, without classes or caches.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "penstock/cluster/internal/gavel_throughputs.h"
#include "penstock/cluster/internal/known_models.h"
#include "penstock/cluster/internal/pollux_profiles.h"
#include "penstock/cluster/internal/shape.h"
#include "penstock/cluster/speed.h"

namespace penstock::cluster {

struct JobTraits {
  std::string model;  // as plain_name() gives it
  int accelerators = 1;
  int batch = 0;  // over all accelerators; 0: unknown
  double network_share = -1;
};

class SpeedSources {
 public:
  static Result<SpeedSources> read(const SpeedFiles& files);
  void state(const std::string& model, double rack, double network);
  Speed speed(const JobTraits& job, const Topology& cluster, const Shape& shape) const;

 private:
  std::optional<Speed> known_speed(const JobTraits& job, const Topology& cluster,
                                   const Shape& shape) const;
  std::optional<Speed> stated(const JobTraits& job, const Topology& cluster,
                              const Shape& shape) const;
  std::optional<Speed> pollux(const JobTraits& job, const Topology& cluster, const Shape& shape,
                              bool elsewhere) const;
  std::optional<Speed> gavel(const JobTraits& job, const Topology& cluster,
                             const Shape& shape) const;
  std::optional<Speed> modelled(const JobTraits& job, const Topology& cluster,
                                const Shape& shape) const;
  Speed class_median(const JobTraits& job, const Topology& cluster, const Shape& shape) const;
  // The models that files have measured for this cluster, or else all well-known ones.
  std::vector<std::string> class_models(const Topology& cluster) const;
  const PolluxProfiles::Model* profile_of(const std::string& plain) const;

  struct Stated {
    double rack = 1;
    double network = 1;
  };
  std::map<std::string, Stated> stated_;
  std::shared_ptr<const PolluxProfiles> pollux_;  // shared by clones of a book
  std::shared_ptr<const GavelThroughputs> gavel_;
};

}  // namespace penstock::cluster
