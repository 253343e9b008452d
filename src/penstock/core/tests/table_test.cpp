#include "penstock/core/table.h"

#include <gtest/gtest.h>

#include <sstream>

namespace penstock::core {
namespace {

TEST(TableTest, AlignsTextLeftAndNumbersRight) {
  Table table({{"name"}, {"count", Table::Align::kRight}, {"note"}});
  table.add_row({"a", "5", "x"});
  table.add_row({"longer", "12345", ""});
  EXPECT_EQ(table.text(),
            "name    count  note\n"
            "------  -----  ----\n"
            "a           5  x\n"
            "longer  12345\n");
}

TEST(TableTest, FitsTheWidthByCuttingTheWidestTextAndNoNumber) {
  Table table({{"name"}, {"number", Table::Align::kRight}, {"source"}});
  table.add_row({"short", "123456789", std::string(300, 'x')});
  std::istringstream lines(table.text(100));
  std::string line;
  while (std::getline(lines, line)) EXPECT_LE(line.size(), 100u);
  EXPECT_NE(table.text(100).find("123456789"), std::string::npos);
  EXPECT_NE(table.text(100).find("xx.."), std::string::npos);
}

TEST(TableTest, CountsCharactersAndNotBytes) {
  Table table({{"name"}, {"n", Table::Align::kRight}});
  table.add_row({"Zürich", "1"});
  table.add_row({"Berlin", "2"});
  EXPECT_EQ(table.text(),
            "name    n\n"
            "------  -\n"
            "Zürich  1\n"
            "Berlin  2\n");
}

}  // namespace
}  // namespace penstock::core
