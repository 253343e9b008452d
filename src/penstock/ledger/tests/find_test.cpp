#include "penstock/ledger/find.h"

#include <gtest/gtest.h>

#include "penstock/core/json.h"

namespace penstock::ledger {
namespace {

using core::Json;

Json ledger_json(const std::string& title) {
  Ledger ledger(title, Evidence::kPredicted);
  ledger.add_account("gpu");
  EXPECT_TRUE(ledger.close(Seconds(1)));
  return ledger.to_json();
}

TEST(FindTest, ALedgerIsFoundAsItself) {
  const auto found = find_ledgers(ledger_json("step"), "x.json");
  ASSERT_TRUE(found) << found.error().text();
  ASSERT_EQ(found->size(), 1u);
  EXPECT_EQ(found->front().name, "step");
  EXPECT_EQ(found->front().path, "");
}

TEST(FindTest, EveryEmbeddedLedgerIsFoundInOrderWithItsName) {
  const Json document = {
      {"name", "whole"},
      {"ledger", ledger_json("top")},
      {"strategies",
       {{{"name", "data"}, {"ledger", ledger_json("a")}}, {{"ledger", ledger_json("b")}}}},
      {"candidates", {{{"name", "p3"}, {"plan", {{"ledger", ledger_json("c")}}}}}}};
  const auto found = find_ledgers(document, "x.json");
  ASSERT_TRUE(found) << found.error().text();
  ASSERT_EQ(found->size(), 4u);
  EXPECT_EQ((*found)[0].name, "whole");
  EXPECT_EQ((*found)[0].path, "ledger");
  EXPECT_EQ((*found)[1].name, "data");
  EXPECT_EQ((*found)[1].path, "strategies[0].ledger");
  EXPECT_EQ((*found)[2].name, "b");  // without a name beside it, its own title
  EXPECT_EQ((*found)[3].path, "candidates[0].plan.ledger");
}

TEST(FindTest, ErrorsNameTheFileAndTheWholePath) {
  Json document = {{"strategies", {{{"ledger", ledger_json("a")}}, {{"ledger", 3}}}}};
  document["strategies"][0]["ledger"]["accounts"][0]["count"] = 0;
  const auto found = find_ledgers(document, "plan.json");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().text(),
            "plan.json: strategies[0].ledger.accounts[0].count: must be a whole number from 1 to "
            "2147483647, not 0\n"
            "plan.json: strategies[1].ledger: must be an object, not 3");
}

TEST(FindTest, WhatHoldsNoLedgerIsKeptAsTheProvenance) {
  const Json document = {{"seed", 7},
                         {"spec", {{"model", "vgg16"}}},
                         {"ledger", ledger_json("top")},
                         {"strategies", {{{"ledger", ledger_json("a")}}}}};
  EXPECT_EQ(without_ledgers(document), (Json{{"seed", 7}, {"spec", {{"model", "vgg16"}}}}));
  EXPECT_EQ(without_ledgers(ledger_json("top")), Json::object());
}

TEST(FindTest, AFileWithoutALedgerIsRefused) {
  for (const Json& document : {Json(3), Json::array(), Json{{"strategies", Json::array()}}}) {
    const auto found = find_ledgers(document, "x.json");
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().kind, ErrorKind::kInput);
    EXPECT_EQ(found.error().message, "holds no ledger");
  }
}

TEST(FindTest, AnAbsurdlyNestedFileIsRefusedAndDoesNotExhaustTheStack) {
  const std::string text = std::string(200'000, '[') + std::string(200'000, ']');
  const Result<Json> document = core::parse_json(text, "x.json");
  ASSERT_TRUE(document);
  EXPECT_FALSE(find_ledgers(*document, "x.json"));
}

TEST(FindTest, AMissingFileAndTextThatIsNotJsonAreNamed) {
  EXPECT_EQ(read_ledgers("no/such.json").error().kind, ErrorKind::kMissing);
}

}  // namespace
}  // namespace penstock::ledger
