#include "penstock/core/result.h"

#include "penstock/core/check.h"

namespace penstock::core {

Error Error::within(std::string step) && {
  context.push_back(std::move(step));
  return std::move(*this);
}

Error Error::within(std::string step) const& { return Error(*this).within(std::move(step)); }

std::string Error::text() const {
  std::string line;
  if (!where.empty()) line += where + ": ";
  line += message;
  if (!mend.empty()) line += "; " + mend;
  if (!context.empty()) {
    line += " (";
    for (std::size_t i = 0; i < context.size(); ++i) line += (i ? ", in " : "in ") + context[i];
    line += ")";
  }
  for (const Error& next : more) line += "\n" + next.text();
  return line;
}

namespace {
tl::unexpected<Error> make(ErrorKind kind, std::string where, std::string message,
                           std::string mend) {
  Error error;
  error.kind = kind;
  error.where = std::move(where);
  error.message = std::move(message);
  error.mend = std::move(mend);
  return fail(std::move(error));
}
}  // namespace

tl::unexpected<Error> input_error(std::string where, std::string message, std::string mend) {
  return make(ErrorKind::kInput, std::move(where), std::move(message), std::move(mend));
}

tl::unexpected<Error> missing_error(std::string where, std::string message, std::string mend) {
  return make(ErrorKind::kMissing, std::move(where), std::move(message), std::move(mend));
}

tl::unexpected<Error> negative(std::string where, std::string message, std::string mend) {
  return make(ErrorKind::kNegative, std::move(where), std::move(message), std::move(mend));
}

Error join_errors(std::vector<Error> errors) {
  PENSTOCK_CHECK(!errors.empty());
  Error first = std::move(errors.front());
  for (std::size_t i = 1; i < errors.size(); ++i) first.more.push_back(std::move(errors[i]));
  return first;
}

}  // namespace penstock::core
