// A command that is made of others: penstock load synth, penstock cluster simulate.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "penstock/cli/command.h"

namespace penstock::cli::internal {

class CommandGroup : public Command {
 public:
  struct Words {
    std::string name;
    std::string summary;
    std::string example;
  };
  // `parts` in the order of --help.
  CommandGroup(Words words, std::vector<std::unique_ptr<Command>> parts)
      : words_(std::move(words)), parts_(std::move(parts)) {}

  std::string name() const override { return words_.name; }
  std::string summary() const override { return words_.summary; }
  std::string example() const override { return words_.example; }
  void declare(CLI::App& app) override;
  Status prepare() override;
  Status run() override { return chosen_->run(); }

 private:
  Words words_;
  std::vector<std::unique_ptr<Command>> parts_;
  Command* chosen_ = nullptr;
};

}  // namespace penstock::cli::internal
