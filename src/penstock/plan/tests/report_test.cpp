#include "penstock/plan/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "penstock/core/file.h"
#include "penstock/core/json.h"

namespace penstock::plan {
namespace {

using core::Json;
using testing::HasSubstr;
using testing::Not;

Json small_plan() {
  return {
      {"schema", "penstock-plan/1"},
      {"title", "small"},
      {"chosen", 1},
      {"candidates",
       {{{"name", "a"}, {"time_s", 2.5}, {"cost_usd", 1.0}},
        {{"name", "b"}, {"time_s", 1.5}, {"cost_usd", 2.0}}}},
      {"thresholds", {{{"budget_time_s", 1.5}, {"candidate", 1}}}},
      {"graph", {{"nodes", {{{"id", 0}}, {{"id", 1}}}}, {"edges", {{{"from", 0}, {"to", 1}}}}}}};
}

// The document as a browser would read it out of the page.
std::string embedded(const std::string& html) {
  const std::string open = "<script type=\"application/json\" id=\"plan\">";
  const std::size_t begin = html.find(open) + open.size();
  return html.substr(begin, html.find("</script", begin) - begin);
}

std::string refusal(const Json& document) {
  const Result<std::string> html = report_html(document);
  return html ? "accepted" : html.error().text();
}

TEST(ReportTest, ThePageHoldsTheWholeDocument) {
  const Result<std::string> html = report_html(small_plan());
  ASSERT_TRUE(html) << html.error().text();
  EXPECT_EQ(core::parse_json(embedded(*html), "page").value(), small_plan());
  EXPECT_THAT(*html, HasSubstr("<title>small</title>"));
}

TEST(ReportTest, TextOfTheDocumentEndsNoElement) {
  Json plan = small_plan();
  plan["title"] = "</title></script><!-- <script> & @document@ @title@";
  const Result<std::string> html = report_html(plan);
  ASSERT_TRUE(html) << html.error().text();
  EXPECT_EQ(core::parse_json(embedded(*html), "page").value(), plan);
  EXPECT_THAT(*html, HasSubstr("<title>&lt;/title&gt;&lt;/script&gt;&lt;!-- "));
}

TEST(ReportTest, TextThatIsNoUtf8StillGivesAPage) {
  Json plan = small_plan();
  plan["title"] = "caf\xe9";
  const Result<std::string> html = report_html(plan);
  ASSERT_TRUE(html) << html.error().text();
  EXPECT_EQ(core::parse_json(embedded(*html), "page").value()["title"], "caf\xef\xbf\xbd");
}

TEST(ReportTest, ThePageAsksForNothingElse) {
  const std::string html = report_html(small_plan()).value();
  EXPECT_THAT(html, HasSubstr("default-src 'none'"));
  for (const char* request : {"<link rel=\"stylesheet\"", " src=\"", "@import", "url(http"}) {
    EXPECT_THAT(html, Not(HasSubstr(request)));
  }
}

TEST(ReportTest, ThePageWeighsLessThan400Kilobytes) {
  EXPECT_LT(report_html(small_plan()).value().size(), 400'000U);
}

TEST(ReportTest, EveryPlaceIsFilledIn) {
  const std::string html = report_html(small_plan()).value();
  for (const char* place : {"@title@", "@document@", "@style@", "@script@", "@d3@"}) {
    EXPECT_THAT(html, Not(HasSubstr(place)));
  }
}

TEST(ReportTest, RefusesASchemaWithoutAPage) {
  EXPECT_EQ(refusal({{"schema", "penstock-book/1"}}),
            "report: schema: \"penstock-book/1\" has no page; give a penstock-plan/1 or a "
            "penstock-ledger/1");
  EXPECT_THAT(refusal(Json::array()), HasSubstr("report: schema: is missing"));
}

TEST(ReportTest, NamesEveryIndexThatPointsNowhere) {
  Json plan = small_plan();
  plan["chosen"] = 2;
  plan["thresholds"][0]["candidate"] = -1;
  plan["graph"]["edges"][0]["to"] = 7;
  plan["graph"]["nodes"][1]["id"] = 0;
  EXPECT_EQ(refusal(plan),
            "report: chosen: 2 is not the index of one of 2 candidates\n"
            "report: thresholds[0].candidate: -1 is not the index of one of 2 candidates\n"
            "report: graph.nodes[1].id: 0 is another node's too\n"
            "report: graph.edges[0].to: 7 is no node");
}

TEST(ReportTest, APlanWithoutChoiceOrGraphIsAPage) {
  Json plan = small_plan();
  plan["chosen"] = nullptr;
  plan["graph"] = nullptr;
  EXPECT_EQ(refusal(plan), "accepted");
}

TEST(ReportTest, ALoneLedgerIsAPage) {
  Json ledger = {{"schema", "penstock-ledger/1"}, {"whole_s", 1.0}, {"accounts", Json::array()}};
  EXPECT_EQ(refusal(ledger), "accepted");
  ledger.erase("whole_s");
  EXPECT_EQ(refusal(ledger), "report: whole_s: is missing, or is no number");
}

TEST(ReportTest, WritesNothingWhereItRefuses) {
  const std::string path = testing::TempDir() + "refused.html";
  std::filesystem::remove(path);
  EXPECT_FALSE(write_report({{"schema", "none"}}, path));
  EXPECT_FALSE(std::filesystem::exists(path));
  ASSERT_TRUE(write_report(small_plan(), path));
  EXPECT_EQ(core::read_file(path).value(), report_html(small_plan()).value());
}

}  // namespace
}  // namespace penstock::plan
