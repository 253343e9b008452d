// Prints a quantity, what a network costs, and whether the catalogue is found.
#include <cstdio>
#include <cstdlib>

#include "penstock/core/quantity.h"
#include "penstock/hardware/catalog.h"
#include "penstock/model/zoo.h"
#include "penstock/version.h"

int main() {
  if (*CATALOG_DIR != '\0') setenv("PENSTOCK_CATALOG", CATALOG_DIR, 1);
  const penstock::Seconds time = penstock::Bytes(4e9) / penstock::Bandwidth(2e9);
  const auto graph = penstock::model::zoo("lenet", 2);
  const auto catalog = penstock::hardware::load_catalog();
  if (!graph || !catalog) {
    std::fputs((!graph ? graph.error() : catalog.error()).text().c_str(), stderr);
    return 1;
  }
  const auto* v100 = catalog->find_accelerator("V100");
  std::printf("penstock %s: %s, %lld macs, V100 %s\n", penstock::kVersion,
              penstock::core::format_quantity(time).c_str(), static_cast<long long>(graph->macs()),
              v100 != nullptr ? "known" : "unknown");
}
