#include "penstock/core/json.h"
#include "penstock/profile/measured_job.h"
#include "penstock/profile/train_profile.h"
#include "penstock/version.h"

namespace penstock::profile {
namespace {

using core::Json;

Json interval_json(const Interval& interval) {
  return {{"time_s_per_step", interval.value}, {"low_s", interval.low}, {"high_s", interval.high}};
}

Json spec_json(const TrainProfile& profile) {
  const TrainProfileOptions& o = profile.options;
  return {{"model", o.model},
          {"emulate", o.emulate ? Json(o.emulate->name) : Json(nullptr)},
          {"attach", o.attach},
          {"data", o.data},
          {"batch", o.batch},
          {"ranks", o.ranks},
          {"nodes", o.nodes},
          {"launcher", o.slurm ? "slurm" : "local"},
          {"link_bytes_per_s", o.link.value()},
          {"delay_s", o.delay.value()},
          {"transport", profile.transport},
          {"overlap", o.overlap},
          {"bucket_bytes", o.bucket_bytes},
          {"loader",
           {{"workers", profile.workers},
            {"cache", o.loader.cache},
            {"cache_size", o.loader.cache_size},
            {"disk_limit", o.loader.disk_limit},
            {"size", o.loader.size}}},
          {"steps", o.steps},
          {"warmup", o.warmup},
          {"precision", o.goal.precision},
          {"time_limit_s", o.goal.time_limit.value()},
          {"seed", o.seed}};
}

Json runs_json(const TrainProfile& profile) {
  Json runs = Json::array();
  for (const RunSummary& run : profile.stalls.runs) {
    Json entry = {{"kind", run_kind_name(run.kind)},
                  {"runs", run.runs},
                  {"steps", run.steps},
                  {"step_s", run.step_s.value},
                  {"low_s", run.step_s.low},
                  {"high_s", run.step_s.high},
                  {"min_s", run.min_s},
                  {"max_s", run.max_s}};
    for (const Phases& phases : profile.phases) {
      if (phases.kind != run.kind) continue;
      entry["phases"] = {{"wait_s", phases.wait_s},        {"fetch_s", phases.fetch_s},
                         {"forward_s", phases.forward_s},  {"backward_s", phases.backward_s},
                         {"exposed_s", phases.exposed_s},  {"optimizer_s", phases.optimizer_s},
                         {"sent_bytes", phases.sent_bytes}};
    }
    runs.push_back(std::move(entry));
  }
  return runs;
}

Json stalls_json(const TrainProfile& profile) {
  Json stalls = Json::array();
  for (std::size_t i = 0; i < profile.stalls.stalls.size(); ++i) {
    const StallEstimate& stall = profile.stalls.stalls[i];
    Json entry = {{"name", stall_name(stall.stall)}};
    entry.update(interval_json(stall.time_s));
    entry["share"] = stall.share;
    entry["paper_share"] = stall.paper_share;
    entry["noise"] = stall.noise();
    if (i < profile.direct.size()) {
      const DirectEstimate& direct = profile.direct[i];
      entry["direct"] = interval_json(direct.time_s);
      entry["direct"]["agrees"] = direct.agrees;
    }
    stalls.push_back(std::move(entry));
  }
  return stalls;
}

Json slack_json(const TrainProfile& profile) {
  Json all = Json::array();
  for (const ResourceSlack& slack : profile.slack) {
    all.push_back({{"name", slack.name},
                   {"samples_per_s", slack.samples_per_s},
                   {"at_least", slack.at_least},
                   {"slack", slack.slack},
                   {"gain", slack.gain},
                   {"then_binds", slack.binds}});
  }
  return all;
}

}  // namespace

Json profile_document(const TrainProfile& profile) {
  Json compute = interval_json(profile.stalls.compute_s);
  compute["share"] = profile.stalls.compute_share;
  Json document = {
      {"schema", "penstock-profile/1"},
      {"version", kVersion},
      {"model", profile.model},
      {"accelerator", profile.accelerator},
      {"spec", spec_json(profile)},
      {"nodes_made_by", profile.link_text},
      {"slurm_nodes", profile.slurm_nodes},
      {"cores", profile.cores},
      {"stopped_by", profile.interrupted ? "interrupt" : stop_reason_text(profile.stopped)},
      {"complete", !profile.interrupted},
      {"precision_reached", worst_precision(profile.stalls)},
      {"run_to_run",
       profile.stalls.run_to_run_known ? Json(profile.stalls.run_to_run) : Json(nullptr)},
      {"step_s", profile.stalls.whole_s.value},
      {"samples_per_s", profile.samples_per_s()},
      {"compute", std::move(compute)},
      {"stalls", stalls_json(profile)},
      {"slack", slack_json(profile)},
      {"runs", runs_json(profile)},
      {"measuring_s_per_step", profile.marker_s},
      {"measuring_share", profile.marker_s / profile.stalls.compute_s.value},
      {"bad_images", profile.bad_images},
      {"rates", rates_to_json(measured_job(profile))},
      {"notes", profile.notes}};
  if (!profile.ledgers.empty()) document["ledger"] = profile.ledgers.back().to_json();
  return document;
}

}  // namespace penstock::profile
