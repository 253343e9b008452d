// What can fail returns a Result: the value, or an Error that says in one line what is wrong,
// where, and how to mend it.
//
//   Result<Catalog> catalog = load_catalog(path);
//   if (!catalog) return fail(catalog.error().within("catalogue"));
//
// Our own bugs abort through PENSTOCK_CHECK (core/check.h); no exception leaves a room.
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

namespace penstock::core {

// The exit codes of the command line.
enum class ErrorKind {
  kNegative = 1,  // it ran, and the answer is no: infeasible, or a comparison failed
  kInput = 2,     // bad usage or bad input
  kMissing = 3,   // a needed device, package or file is missing
  kBug = 4,       // ours
};

struct Error {
  ErrorKind kind = ErrorKind::kInput;
  std::string message;               // what is wrong, without a full stop
  std::string where;                 // "file:line", "file: key.path", or empty
  std::string mend;                  // what to do about it, or empty
  std::vector<std::string> context;  // innermost first
  std::vector<Error> more;           // further errors of the same input

  // Adds one step of the chain that led here.
  Error within(std::string step) &&;
  Error within(std::string step) const&;
  // "where: message; mend (context)". One line for each error, `more` included.
  std::string text() const;
};

template <typename T>
using Result = tl::expected<T, Error>;
using Status = tl::expected<void, Error>;

inline tl::unexpected<Error> fail(Error error) { return tl::unexpected<Error>(std::move(error)); }

// Bad input (exit code 2).
tl::unexpected<Error> input_error(std::string where, std::string message, std::string mend = "");
// A file, package or device that is not there (exit code 3).
tl::unexpected<Error> missing_error(std::string where, std::string message, std::string mend = "");
// It ran and the answer is no (exit code 1).
tl::unexpected<Error> negative(std::string where, std::string message, std::string mend = "");

// Folds a list of errors into one; must not be empty.
Error join_errors(std::vector<Error> errors);

}  // namespace penstock::core

namespace penstock {
using core::Error;
using core::ErrorKind;
using core::Result;
using core::Status;
}  // namespace penstock

// Returns early with the error, else gives the value: PENSTOCK_TRY(auto graph, read_onnx(path));
#define PENSTOCK_TRY_JOIN_(a, b) a##b
#define PENSTOCK_TRY_NAME_(line) PENSTOCK_TRY_JOIN_(penstock_try_, line)
#define PENSTOCK_TRY(target, expression)                                            \
  auto PENSTOCK_TRY_NAME_(__LINE__) = (expression);                                 \
  if (!PENSTOCK_TRY_NAME_(__LINE__))                                                \
    return ::penstock::core::fail(std::move(PENSTOCK_TRY_NAME_(__LINE__)).error()); \
  target = *std::move(PENSTOCK_TRY_NAME_(__LINE__))
#define PENSTOCK_TRY_STATUS(expression)                                                      \
  do {                                                                                       \
    auto penstock_status = (expression);                                                     \
    if (!penstock_status) return ::penstock::core::fail(std::move(penstock_status).error()); \
  } while (false)
