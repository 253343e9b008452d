#include <fmt/format.h>

#include <cmath>

#include "penstock/core/quantity.h"
#include "penstock/core/table.h"
#include "penstock/profile/train_profile.h"

namespace penstock::profile {
namespace {

using core::Table;

std::string time_text(double seconds) {
  const std::string text = core::format_quantity(Seconds(std::abs(seconds)));
  return seconds < 0 ? "-" + text : text;
}

std::string per_cent(double fraction) { return fmt::format("{:.1f} %", fraction * 100); }

std::string range_text(const Interval& interval) {
  return fmt::format("{} .. {}", time_text(interval.low), time_text(interval.high));
}

std::string remark_of(const StallEstimate& stall, const DirectEstimate* direct) {
  std::string remark;
  if (stall.noise()) {
    remark = "within noise";
  } else if (stall.time_s.value < 0) {
    remark = "faster";
  }
  if (direct != nullptr && !direct->agrees) {
    remark += std::string(remark.empty() ? "" : "; ") + "estimates disagree";
  }
  return remark;
}

std::string stall_table(const TrainProfile& profile) {
  using A = Table::Align;
  Table table({{"part"},
               {"a step", A::kRight},
               {"95 %", A::kRight},
               {"share", A::kRight},
               {"from inside", A::kRight},
               {""}});
  const Decomposition& d = profile.stalls;
  table.add_row({"compute", time_text(d.compute_s.value), range_text(d.compute_s),
                 per_cent(d.compute_share), "", ""});
  for (std::size_t i = 0; i < d.stalls.size(); ++i) {
    const StallEstimate& stall = d.stalls[i];
    const DirectEstimate* direct = i < profile.direct.size() ? &profile.direct[i] : nullptr;
    table.add_row({std::string(stall_name(stall.stall)), time_text(stall.time_s.value),
                   range_text(stall.time_s), per_cent(stall.share),
                   direct != nullptr ? time_text(direct->time_s.value) : "",
                   remark_of(stall, direct)});
  }
  table.add_row({"step", time_text(d.whole_s.value), range_text(d.whole_s), "100.0 %", "", ""});
  return table.text();
}

std::string slack_table(const TrainProfile& profile) {
  using A = Table::Align;
  Table table({{"resource"},
               {"alone, samples/s", A::kRight},
               {"of what is reached", A::kRight},
               {"fix it and gain at most", A::kRight},
               {"before this binds"}});
  for (const ResourceSlack& slack : profile.slack) {
    const bool gains = slack.gain > 0.005;  // shown as 1 % or more
    table.add_row({slack.name,
                   fmt::format("{}{:.1f}", slack.at_least ? "at least " : "", slack.samples_per_s),
                   fmt::format("{:.2f}", slack.slack),
                   gains ? fmt::format("{:.0f} %", slack.gain * 100) : "-",
                   gains ? slack.binds : ""});
  }
  return table.text();
}

std::string disagreements(const TrainProfile& profile) {
  std::string text;
  for (const DirectEstimate& direct : profile.direct) {
    if (direct.agrees) continue;
    text += fmt::format(
        "{}: the runs differ by {}, but the clocks inside them account for {};\n  the rest is work "
        "that itself became slower or faster between the two runs, such as shared cores\n",
        stall_name(direct.stall), time_text(profile.stalls.find(direct.stall)->time_s.value),
        time_text(direct.time_s.value));
  }
  return text;
}

}  // namespace

std::string profile_text(const TrainProfile& profile) {
  const TrainProfileOptions& o = profile.options;
  std::string text = fmt::format("{} on {}, {} rank{} of batch {}", profile.model,
                                 profile.accelerator, o.ranks, o.ranks == 1 ? "" : "s", o.batch);
  if (o.nodes > 1) {
    text += fmt::format(", {} nodes", o.nodes);
    if (o.link.value() > 0) text += " at " + core::format_quantity(o.link);
  }
  if (!profile.link_text.empty()) text += fmt::format("\nnodes: {}", profile.link_text);
  text += "\n\n" + stall_table(profile) + "\n" + slack_table(profile) + "\n";
  text += disagreements(profile);
  int runs = 0;
  for (const RunSummary& run : profile.stalls.runs) runs += run.runs;
  text +=
      fmt::format("{:.1f} samples/s; {} run{}, stopped by {}; intervals within {} of the step\n",
                  profile.samples_per_s(), runs, runs == 1 ? "" : "s",
                  profile.interrupted ? "the interrupt" : stop_reason_text(profile.stopped),
                  per_cent(worst_precision(profile.stalls)));
  if (!profile.stalls.run_to_run_known) {
    text += "no kind was run twice: the variation between runs is not in the intervals\n";
  } else {
    text += fmt::format("runs of a kind vary by {}\n", per_cent(profile.stalls.run_to_run));
  }
  if (profile.marker_s > 0) {
    text +=
        fmt::format("measuring takes at most {} a step, {:.3f} %\n", time_text(profile.marker_s),
                    100 * profile.marker_s / profile.stalls.compute_s.value);
  }
  if (profile.bad_images > 0) {
    text += fmt::format(
        "{} bad images in a run, replaced by others; penstock load run DIR --epochs 1 names them\n",
        profile.bad_images);
  }
  for (const std::string& note : profile.notes) text += "note: " + note + "\n";
  return text;
}

}  // namespace penstock::profile
