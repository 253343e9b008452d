// What Slurm writes as text: lists of hosts, generic resources, records of key=value.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "penstock/cluster/slurm.h"

namespace penstock::cluster::internal {

// "node[01-03,07],gpu5" is node01 node02 node03 node07 gpu5; "(null)" and "" are none.
std::vector<std::string> expand_hosts(std::string_view text);
// "gres:gpu:6", "gpu:a100:4(IDX:0-3)", "gres/gpu=2,gres:nic:1": how many of `resource` there are.
int resource_count(std::string_view text, std::string_view resource);
// One record of `scontrol --oneliner show`. A value runs to the next " Key=" of the record, since
// comments have blanks; a key that comes again goes into `repeated`, in order.
struct SlurmRecord {
  std::map<std::string, std::string, std::less<>> values;
  std::vector<std::pair<std::string, std::string>> details;  // per node: "node[01-02]", "gpu:4"
  std::string value(std::string_view key) const;  // empty where absent, "(null)" or "N/A"
};
SlurmRecord parse_record(std::string_view line);
// "2026-11-21T22:03:10", local time, as Unix time; 0 for "Unknown", "None", "N/A".
std::int64_t parse_time(const std::string& text);

BatchJob job_of(const SlurmRecord& record, std::string_view resource);
BatchNode node_of(const SlurmRecord& record, std::string_view resource);
// Racks are the leaf switches.
void set_racks(std::vector<BatchNode>& nodes, const std::vector<SlurmRecord>& switches);

}  // namespace penstock::cluster::internal
