// The socket over which a running loader is asked and resized: lines of text in, one line of JSON
// out for each.
//
//   workers 3      -> {"workers": 3}
//   state          -> {"workers": 3, "samples": 51200, "fetch_s": 1.5, ...}
//   anything else  -> {"error": "..."}
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "penstock/core/quantity.h"
#include "penstock/core/result.h"
#include "penstock/loader/pipeline.h"

namespace penstock::loader {

// What the loader says of itself, as one line of JSON. Times are sums over workers.
std::string state_line(const PipelineState& state, Seconds elapsed);
// The answer to one line.
std::string answer_control(const std::string& line, Pipeline& pipeline, Seconds elapsed);

class ControlSocket {
 public:
  // Listens at `path`, a Unix stream socket; replaces one that nobody listens at any more.
  static Result<ControlSocket> listen(const std::string& path);
  ControlSocket(ControlSocket&& other) noexcept;
  ControlSocket& operator=(ControlSocket&& other) noexcept;
  ~ControlSocket();
  // Waits up to `patience` for lines, and answers those that have come.
  void serve(Seconds patience, const std::function<std::string(const std::string&)>& answer);

 private:
  ControlSocket() = default;
  std::string path_;
  int listener_ = -1;
  std::map<int, std::string> clients_;  // by descriptor, with what has come of a line
};

}  // namespace penstock::loader
