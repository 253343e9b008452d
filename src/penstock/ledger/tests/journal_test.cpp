#include "penstock/ledger/journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "penstock/core/private_folder.h"
#include "penstock/ledger/book.h"

namespace penstock::ledger {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

class JournalTest : public testing::Test {
 protected:
  core::PrivateFolder folder_ = *core::PrivateFolder::create();
  std::string path_ = folder_.path() + "/book.sqlite";
};

TEST_F(JournalTest, IsThereAgainAfterItWasClosed) {
  {
    Journal journal = *Journal::open(path_, "cluster/a");
    ASSERT_TRUE(journal.write({{"job/1", "one"}, {"job/2", "two"}}));
    ASSERT_TRUE(journal.write({{"job/1", std::nullopt}, {"job/2", "zwei"}}));
  }
  EXPECT_THAT(Journal::open(path_, "cluster/a")->entries(), ElementsAre(Pair("job/2", "zwei")));
}

TEST_F(JournalTest, NamesDoNotSeeEachOther) {
  Journal journal = *Journal::open(path_, "a");
  ASSERT_TRUE(journal.write({{"key", "text"}}));
  EXPECT_THAT(Journal::open(path_, "b")->entries(), IsEmpty());
}

TEST_F(JournalTest, HasOneKeeperAtATime) {
  const Journal journal = *Journal::open(path_, "a");
  const Result<Journal> second = Journal::open(path_, "a");
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().text(), HasSubstr(std::to_string(::getpid())));
}

TEST_F(JournalTest, SurvivesTheDeathOfItsKeeperAndIsFreeThen) {
  const pid_t child = ::fork();
  if (child == 0) {
    Journal journal = *Journal::open(path_, "a");
    if (!journal.write({{"key", "text"}})) ::_exit(1);
    ::raise(SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_THAT(Journal::open(path_, "a")->entries(), ElementsAre(Pair("key", "text")));
}

TEST_F(JournalTest, SharesItsFileWithTheBook) {
  Journal journal = *Journal::open(path_, "a");
  Book book = *Book::open(path_);
  EXPECT_THAT(*book.list(), IsEmpty());
  EXPECT_TRUE(journal.write({{"key", "text"}}));
}

}  // namespace
}  // namespace penstock::ledger
