// A Python process that runs the bench's peers (internal/peers.py), spoken to over pipes.
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "penstock/core/result.h"

namespace penstock::loader {

class PeerProcess {
 public:
  // Starts `python` with the script. A Python that is not there shows with the first answer.
  static Result<PeerProcess> start(const std::string& python);
  PeerProcess(PeerProcess&& other) noexcept;
  PeerProcess& operator=(PeerProcess&& other) = delete;
  ~PeerProcess();  // ends it

  void send(const std::string& line);
  // The next line, or nothing where the process has ended.
  Result<std::string> receive();
  // Every peer's name with "ok" or the reason why not.
  Result<std::vector<std::pair<std::string, std::string>>> peers();
  // Processor seconds of one peer over images [first, last).
  Result<double> run(const std::string& peer, std::size_t first, std::size_t last);

 private:
  PeerProcess() = default;
  pid_t pid_ = -1;
  int to_ = -1;
  int from_ = -1;
  std::string received_;
};

}  // namespace penstock::loader
