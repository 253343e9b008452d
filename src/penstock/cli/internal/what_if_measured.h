// What `penstock profile what-if` measures itself: page caches, and predictions under a throttle.
#pragma once

#include "penstock/cli/command.h"
#include "penstock/core/result.h"
#include "penstock/profile/hit_curves.h"
#include "penstock/profile/what_if_validation.h"

namespace penstock::cli::internal {

Status show_page_cache(const profile::PageCacheOptions& options, const OutputOptions& output);
Status show_caches(const profile::ValidationOptions& options, const OutputOptions& output);
Status show_workers(const profile::ValidationOptions& options, const OutputOptions& output);
Status show_links(const profile::LinkValidationOptions& options, const OutputOptions& output);

}  // namespace penstock::cli::internal
