#include "penstock/cli/internal/pipeline_options.h"

namespace penstock::cli {

void PipelineWords::declare(CLI::App& app) {
  app.add_option("--workers", options.workers, "Threads that load; default 1")
      ->check(CLI::Range(1, 1024))
      ->type_name("N");
  app.add_option("--batch", batch, "Images in a batch; default 32")
      ->check(CLI::Range(1, 65536))
      ->type_name("N");
  app.add_option("--slots", slots, "Batches that may wait, which bounds the memory; default 4")
      ->check(CLI::Range(1, 4096))
      ->type_name("N");
  app.add_option("--size", options.image.size, "Width and height of the result; default 224")
      ->check(CLI::Range(1, 4096))
      ->type_name("N");
  app.add_option("--cache", cache_,
                 "page: the kernel's; none: direct reads; minio: our own, never evicts; lru: our "
                 "own, evicts the oldest; default page")
      ->check(CLI::IsMember({"none", "page", "minio", "lru"}))
      ->type_name("WORD");
  app.add_option("--cache-size", cache_size_, "Of minio and lru, for example \"1 GiB\"")
      ->type_name("BYTES");
  app.add_option("--disk-limit", disk_limit_, "Read at most this fast, for example \"100 MB/s\"")
      ->type_name("RATE");
  app.add_option("--max-bad", options.max_bad,
                 "Share of the images that may be bad before it is an error; default 0.01")
      ->check(CLI::Range(0.0, 1.0))
      ->type_name("SHARE");
  app.add_flag("--drop-caches", drop_caches, "First drop the data set from the page cache");
  app.add_option("--seed", options.seed, "Of the order and the augmentation; default 0")
      ->type_name("N");
}

Status PipelineWords::read() {
  PENSTOCK_TRY(options.cache, loader::parse_cache_policy(cache_));
  const bool has_own_cache =
      options.cache == loader::CachePolicy::kMinio || options.cache == loader::CachePolicy::kLru;
  if (has_own_cache != !cache_size_.empty()) {
    return core::input_error("--cache-size",
                             has_own_cache ? "is missing" : "means nothing with --cache " + cache_,
                             has_own_cache ? "give one, for example --cache-size \"1 GiB\""
                                           : "leave it out, or use --cache minio or lru");
  }
  const auto at = [](const char* option, Error error) {
    error.where = option;
    return core::fail(std::move(error));
  };
  if (has_own_cache) {
    const Result<Bytes> size = core::parse_quantity<Bytes>(cache_size_);
    if (!size) return at("--cache-size", size.error());
    options.cache_size = *size;
  }
  if (!disk_limit_.empty()) {
    const Result<Bandwidth> rate = core::parse_quantity<Bandwidth>(disk_limit_);
    if (!rate) return at("--disk-limit", rate.error());
    if (rate->value() <= 0) return core::input_error("--disk-limit", "must be above 0");
    options.disk_limit = *rate;
  }
  return {};
}

}  // namespace penstock::cli
