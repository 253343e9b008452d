#include "penstock/train/job.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "penstock/core/json.h"
#include "penstock/core/nearest.h"

namespace penstock::train {
namespace {

constexpr const char* kSchema = "penstock-job/1";

template <typename Enum>
using Words = std::vector<std::pair<Enum, std::string>>;

const Words<Optimizer>& optimizer_words() {
  static const Words<Optimizer> kWords = {{Optimizer::kSgd, "sgd"}, {Optimizer::kAdam, "adam"}};
  return kWords;
}

const Words<Transport>& transport_words() {
  static const Words<Transport> kWords = {
      {Transport::kGloo, "gloo"}, {Transport::kNccl, "nccl"}, {Transport::kRing, "ring"}};
  return kWords;
}

template <typename Enum>
const std::string& word_of(const Words<Enum>& words, Enum value) {
  return std::find_if(words.begin(), words.end(),
                      [&](const auto& entry) { return entry.first == value; })
      ->second;
}

// Reads the members of one object and collects what is wrong with any of them.
class Fields {
 public:
  // The errors' place is `prefix` and the key.
  Fields(const core::Json& object, std::string prefix, std::vector<Error>* errors)
      : object_(object), prefix_(std::move(prefix)), errors_(errors) {
    if (!object.is_object()) error("", "is not an object");
  }

  template <typename T>
  void read(const std::string& key, T* value) {
    if (const core::Json* member = find(key); member != nullptr && !assign(*member, value)) {
      error(key, fmt::format("has the wrong type: {}", member->dump()));
    }
  }

  template <typename T>
  void read_at_least(const std::string& key, T minimum, T* value) {
    read(key, value);
    if (*value < minimum) error(key, fmt::format("{} is below {}", *value, minimum));
  }

  template <typename Enum>
  void read_word(const std::string& key, const Words<Enum>& words, Enum* value) {
    std::string text = word_of(words, *value);
    read(key, &text);
    const auto it = std::find_if(words.begin(), words.end(),
                                 [&](const auto& entry) { return entry.second == text; });
    if (it != words.end()) {
      *value = it->first;
      return;
    }
    std::vector<std::string> known;
    for (const auto& entry : words) known.push_back(entry.second);
    error(key, fmt::format("\"{}\" is none of {}", text, fmt::join(known, ", ")),
          core::did_you_mean(text, known));
  }

  const core::Json* find(const std::string& key) {
    known_.push_back(key);
    if (!object_.is_object()) return nullptr;
    const auto it = object_.find(key);
    return it == object_.end() ? nullptr : &*it;
  }

  void error(const std::string& key, std::string message, std::string mend = "") {
    errors_->push_back(
        core::input_error(prefix_ + key, std::move(message), std::move(mend)).value());
  }

  // Complains of every member that nothing has asked for.
  void refuse_others() {
    if (!object_.is_object()) return;
    for (const auto& item : object_.items()) {
      if (std::find(known_.begin(), known_.end(), item.key()) != known_.end()) continue;
      error(item.key(), "unknown key", core::did_you_mean(item.key(), known_));
    }
  }

 private:
  static bool assign(const core::Json& json, std::string* value) {
    if (json.is_string()) *value = json.get<std::string>();
    return json.is_string();
  }
  static bool assign(const core::Json& json, bool* value) {
    if (json.is_boolean()) *value = json.get<bool>();
    return json.is_boolean();
  }
  static bool assign(const core::Json& json, double* value) {
    if (json.is_number()) *value = json.get<double>();
    return json.is_number();
  }
  static bool assign(const core::Json& json, std::int64_t* value) {
    if (json.is_number_integer()) *value = json.get<std::int64_t>();
    return json.is_number_integer();
  }
  static bool assign(const core::Json& json, std::uint64_t* value) {
    if (json.is_number_unsigned()) *value = json.get<std::uint64_t>();
    return json.is_number_unsigned();
  }
  static bool assign(const core::Json& json, int* value) {
    std::int64_t wide = 0;
    if (!assign(json, &wide) || !std::in_range<int>(wide)) return false;
    *value = static_cast<int>(wide);
    return true;
  }
  template <typename T>
  static bool assign(const core::Json& json, std::vector<T>* values) {
    if (!json.is_array()) return false;
    values->assign(json.size(), T{});
    for (std::size_t i = 0; i < json.size(); ++i) {
      if (!assign(json[i], &(*values)[i])) return false;
    }
    return true;
  }

  const core::Json& object_;
  std::string prefix_;
  std::vector<Error>* errors_;
  std::vector<std::string> known_;
};

void read_accelerator(const core::Json& json, const std::string& where,
                      EmulatedAccelerator* accelerator, std::vector<Error>* errors) {
  Fields fields(json, where + ": accelerator.", errors);
  double forward = 0;
  double backward = 0;
  fields.read_at_least("forward_s", 0.0, &forward);
  fields.read_at_least("backward_s", 0.0, &backward);
  fields.read("gradient_bytes", &accelerator->gradient_bytes);
  for (const std::int64_t bytes : accelerator->gradient_bytes) {
    if (bytes < 0 || bytes % static_cast<std::int64_t>(sizeof(float)) != 0) {
      fields.error("gradient_bytes", fmt::format("{} bytes are not whole floats", bytes));
    }
  }
  fields.refuse_others();
  accelerator->forward = Seconds(forward);
  accelerator->backward = Seconds(backward);
}

void read_training(Fields& fields, Job* job) {
  fields.read("model", &job->model);
  fields.read_at_least<std::int64_t>("batch", 1, &job->batch);
  fields.read_at_least<std::int64_t>("steps", 1, &job->steps);
  fields.read_at_least<std::int64_t>("warmup", 0, &job->warmup);
  fields.read("channel", &job->channel);
  fields.read("seed", &job->seed);
  fields.read_at_least("threads", 1, &job->threads);
  fields.read_word("optimizer", optimizer_words(), &job->optimizer);
  fields.read_at_least("learning_rate", 0.0, &job->learning_rate);
  fields.read_at_least("momentum", 0.0, &job->momentum);
}

void read_communication(Fields& fields, Job* job) {
  fields.read_at_least("world", 1, &job->world);
  fields.read_at_least("rank", 0, &job->rank);
  if (job->world >= 1 && job->rank >= job->world) {
    fields.error("rank", fmt::format("{} is not below world {}", job->rank, job->world));
  }
  fields.read("all_reduce", &job->all_reduce);
  fields.read("overlap", &job->overlap);
  fields.read_word("transport", transport_words(), &job->transport);
  fields.read_at_least<std::int64_t>("first_bucket_bytes", 1, &job->first_bucket_bytes);
  fields.read_at_least<std::int64_t>("bucket_bytes", 1, &job->bucket_bytes);
  fields.read("rendezvous", &job->rendezvous);
  if (job->world > 1 && job->all_reduce && job->rendezvous.empty()) {
    fields.error("rendezvous", fmt::format("is empty, and {} ranks have to meet", job->world),
                 "give the path of a file that all ranks see, or tcp:HOST:PORT");
  }
  fields.read("interface", &job->interface);
  fields.read("node_of_rank", &job->node_of_rank);
  if (!job->node_of_rank.empty() &&
      job->node_of_rank.size() != static_cast<std::size_t>(std::max(job->world, 0))) {
    fields.error("node_of_rank", fmt::format("names {} ranks where world is {}",
                                             job->node_of_rank.size(), job->world));
  }
  double rate = 0;
  double delay = 0;
  fields.read_at_least("link_bandwidth_bytes_per_s", 0.0, &rate);
  fields.read_at_least("link_delay_s", 0.0, &delay);
  job->limit = {Bandwidth(rate), Seconds(delay)};
}

}  // namespace

core::Json to_json(const Job& job) {
  return core::Json{
      {"schema", kSchema},
      {"model", job.model},
      {"accelerator",
       {{"forward_s", job.accelerator.forward.value()},
        {"backward_s", job.accelerator.backward.value()},
        {"gradient_bytes", job.accelerator.gradient_bytes}}},
      {"batch", job.batch},
      {"steps", job.steps},
      {"warmup", job.warmup},
      {"channel", job.channel},
      {"seed", job.seed},
      {"threads", job.threads},
      {"optimizer", word_of(optimizer_words(), job.optimizer)},
      {"learning_rate", job.learning_rate},
      {"momentum", job.momentum},
      {"rank", job.rank},
      {"world", job.world},
      {"all_reduce", job.all_reduce},
      {"overlap", job.overlap},
      {"transport", word_of(transport_words(), job.transport)},
      {"first_bucket_bytes", job.first_bucket_bytes},
      {"bucket_bytes", job.bucket_bytes},
      {"rendezvous", job.rendezvous},
      {"interface", job.interface},
      {"node_of_rank", job.node_of_rank},
      {"link_bandwidth_bytes_per_s", job.limit.rate.value()},
      {"link_delay_s", job.limit.delay.value()},
  };
}

Result<Job> job_from_json(const core::Json& json, const std::string& where) {
  PENSTOCK_TRY(const std::string schema, core::json_member<std::string>(json, "schema", where));
  if (schema != kSchema) {
    return core::input_error(where + ": schema",
                             fmt::format("\"{}\" is not \"{}\"", schema, kSchema));
  }
  Job job;
  std::vector<Error> errors;
  Fields fields(json, where + ": ", &errors);
  fields.find("schema");
  if (const core::Json* accelerator = fields.find("accelerator"); accelerator != nullptr) {
    read_accelerator(*accelerator, where, &job.accelerator, &errors);
  }
  read_training(fields, &job);
  read_communication(fields, &job);
  fields.refuse_others();
  if (!errors.empty()) return fail(core::join_errors(std::move(errors)));
  return job;
}

}  // namespace penstock::train
