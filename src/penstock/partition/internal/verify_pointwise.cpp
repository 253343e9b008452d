#include "penstock/partition/internal/verify_pointwise.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <string_view>

#include "penstock/partition/internal/verify_products.h"

namespace penstock::partition::internal {
namespace {

// Parameters of one function: `a` and `b` are its attributes, in the order of ONNX.
struct Constants {
  double a = 0;
  double b = 0;
};

struct Function {
  std::string_view type;
  std::string_view names[2];  // of the attributes
  Constants defaults;
  double (*value)(double x, const Constants& c);
  double (*slope)(double x, const Constants& c);
};

using C = const Constants&;

double logistic(double x) { return 1 / (1 + std::exp(-x)); }
double normal_distribution(double x) { return 0.5 * (1 + std::erf(x / std::numbers::sqrt2)); }
double normal_density(double x) {
  return std::exp(-x * x / 2) * std::numbers::inv_sqrtpi / std::numbers::sqrt2;
}

// Clip's bounds are often constants, whose values a graph does not keep; they are then 0 and 1.
constexpr std::array kFunctions = {
    Function{"Abs",
             {},
             {},
             [](double x, C) { return std::abs(x); },
             [](double x, C) { return x < 0 ? -1.0 : 1.0; }},
    Function{"Clip",
             {"min", "max"},
             {0, 1},
             [](double x, C c) { return std::min(std::max(x, c.a), c.b); },
             [](double x, C c) { return x > c.a && x < c.b ? 1.0 : 0.0; }},
    Function{"Cos",
             {},
             {},
             [](double x, C) { return std::cos(x); },
             [](double x, C) { return -std::sin(x); }},
    Function{"Elu",
             {"alpha", ""},
             {1, 0},
             [](double x, C c) { return x > 0 ? x : c.a * std::expm1(x); },
             [](double x, C c) { return x > 0 ? 1.0 : c.a * std::exp(x); }},
    Function{"Erf",
             {},
             {},
             [](double x, C) { return std::erf(x); },
             [](double x, C) { return 2 * std::numbers::inv_sqrtpi * std::exp(-x * x); }},
    Function{"Exp",
             {},
             {},
             [](double x, C) { return std::exp(x); },
             [](double x, C) { return std::exp(x); }},
    Function{"Gelu",
             {},
             {},
             [](double x, C) { return x * normal_distribution(x); },
             [](double x, C) { return normal_distribution(x) + x * normal_density(x); }},
    Function{"HardSigmoid",
             {"alpha", "beta"},
             {0.2, 0.5},
             [](double x, C c) { return std::min(std::max(c.a * x + c.b, 0.0), 1.0); },
             [](double x, C c) { return c.a * x + c.b > 0 && c.a * x + c.b < 1 ? c.a : 0.0; }},
    Function{"HardSwish",
             {},
             {},
             [](double x, C) { return x * std::min(std::max(x / 6 + 0.5, 0.0), 1.0); },
             [](double x, C) { return x <= -3  ? 0.0
                                      : x >= 3 ? 1.0
                                               : x / 3 + 0.5; }},
    Function{"LeakyRelu",
             {"alpha", ""},
             {0.01, 0},
             [](double x, C c) { return x > 0 ? x : c.a * x; },
             [](double x, C c) { return x > 0 ? 1.0 : c.a; }},
    Function{
        "Log", {}, {}, [](double x, C) { return std::log(x); }, [](double x, C) { return 1 / x; }},
    Function{"Neg", {}, {}, [](double x, C) { return -x; }, [](double, C) { return -1.0; }},
    Function{"Reciprocal",
             {},
             {},
             [](double x, C) { return 1 / x; },
             [](double x, C) { return -1 / (x * x); }},
    Function{"Relu",
             {},
             {},
             [](double x, C) { return std::max(x, 0.0); },
             [](double x, C) { return x > 0 ? 1.0 : 0.0; }},
    Function{"Selu",
             {"alpha", "gamma"},
             {1.67326319217681884765625, 1.05070102214813232421875},
             [](double x, C c) { return c.b * (x > 0 ? x : c.a * std::expm1(x)); },
             [](double x, C c) { return c.b * (x > 0 ? 1.0 : c.a * std::exp(x)); }},
    Function{"Sigmoid",
             {},
             {},
             [](double x, C) { return logistic(x); },
             [](double x, C) { return logistic(x) * logistic(-x); }},
    Function{"Sin",
             {},
             {},
             [](double x, C) { return std::sin(x); },
             [](double x, C) { return std::cos(x); }},
    Function{"Softplus",
             {},
             {},
             [](double x, C) { return std::log1p(std::exp(x)); },
             [](double x, C) { return logistic(x); }},
    Function{"Softsign",
             {},
             {},
             [](double x, C) { return x / (1 + std::abs(x)); },
             [](double x, C) { return 1 / ((1 + std::abs(x)) * (1 + std::abs(x))); }},
    Function{"Sqrt",
             {},
             {},
             [](double x, C) { return std::sqrt(x); },
             [](double x, C) { return 0.5 / std::sqrt(x); }},
    Function{"Tanh",
             {},
             {},
             [](double x, C) { return std::tanh(x); },
             [](double x, C) { return 1 - std::tanh(x) * std::tanh(x); }},
};

const Function* find(const std::string& type) {
  for (const Function& f : kFunctions) {
    if (f.type == type) return &f;
  }
  return nullptr;
}

Constants constants(const Invocation& call, const Function& f) {
  Constants c = f.defaults;
  if (!f.names[0].empty()) c.a = call.number(std::string(f.names[0]), c.a);
  if (!f.names[1].empty()) c.b = call.number(std::string(f.names[1]), c.b);
  return c;
}

constexpr std::string_view kJoins[] = {"Add", "Sub", "Mul", "Div", "Sum", "Mean", "Pow", "PRelu"};

// Pow squares: the exponents are constants, whose values a graph does not keep.
double join(const std::string& type, double a, double b) {
  if (type == "Sub") return a - b;
  if (type == "Mul") return a * b;
  if (type == "Div") return a / b;
  if (type == "PRelu") return a > 0 ? a : a * b;
  return a + b;
}

double join_slope(const std::string& type, std::size_t operand, double a, double b) {
  if (type == "Sub") return operand == 0 ? 1 : -1;
  if (type == "Mul") return operand == 0 ? b : a;
  if (type == "Div") return operand == 0 ? 1 / b : -a / (b * b);
  if (type == "PRelu") return operand == 0 ? (a > 0 ? 1 : b) : (a > 0 ? 0 : a);
  return 1;
}

Array spread(const Invocation& call, std::size_t operand) {
  Array wide = zeros(call.result);
  const Array& from = *call.inputs[operand];
  broadcast(wide.shape, from.shape,
            [&](std::size_t to, std::size_t source) { wide.values[to] = from.values[source]; });
  return wide;
}

// Adds up what was spread.
Array gather(const Invocation& call, std::size_t operand, const std::vector<double>& wide) {
  Array narrow = zeros(call.frames[operand]);
  Array result = zeros(call.result);
  broadcast(result.shape, narrow.shape,
            [&](std::size_t from, std::size_t to) { narrow.values[to] += wide[from]; });
  return narrow;
}

}  // namespace

bool pointwise(const std::string& type) {
  return find(type) != nullptr ||
         std::find(std::begin(kJoins), std::end(kJoins), type) != std::end(kJoins);
}

Array pointwise_forward(const Invocation& call) {
  const std::string& type = call.op->type;
  if (const Function* f = find(type)) {
    const Constants c = constants(call, *f);
    Array y = zeros(call.result);
    for (std::size_t i = 0; i < y.values.size(); ++i) {
      y.values[i] = f->value(call.inputs[0]->values[i], c);
    }
    return y;
  }
  Array y = spread(call, 0);
  if (type == "Pow") {
    for (double& v : y.values) v *= v;
    return y;
  }
  for (std::size_t k = 1; k < call.inputs.size(); ++k) {
    const Array operand = spread(call, k);
    for (std::size_t i = 0; i < y.values.size(); ++i) {
      y.values[i] = join(type, y.values[i], operand.values[i]);
    }
  }
  if (type == "Mean") {
    for (double& v : y.values) v /= static_cast<double>(call.inputs.size());
  }
  return y;
}

std::vector<Array> pointwise_back(const Invocation& call, const Array&, const Array& gradient,
                                  const std::vector<bool>& wanted) {
  const std::string& type = call.op->type;
  std::vector<Array> result(call.inputs.size());
  if (const Function* f = find(type)) {
    if (!wanted[0]) return result;
    const Constants c = constants(call, *f);
    result[0] = gradient;
    for (std::size_t i = 0; i < gradient.values.size(); ++i) {
      result[0].values[i] *= f->slope(call.inputs[0]->values[i], c);
    }
    return result;
  }
  const Array a = spread(call, 0);
  for (std::size_t k = 0; k < call.inputs.size(); ++k) {
    if (!wanted[k]) continue;
    std::vector<double> wide = gradient.values;
    if (type == "Pow") {
      for (std::size_t i = 0; i < wide.size(); ++i) wide[i] *= 2 * a.values[i];
    } else if (type == "Mean") {
      for (double& v : wide) v /= static_cast<double>(call.inputs.size());
    } else if (type != "Sum" && call.inputs.size() == 2) {
      const Array b = spread(call, 1);
      for (std::size_t i = 0; i < wide.size(); ++i) {
        wide[i] *= join_slope(type, k, a.values[i], b.values[i]);
      }
    }
    result[k] = gather(call, k, wide);
  }
  return result;
}

}  // namespace penstock::partition::internal
