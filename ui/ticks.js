// Round values for axes.

const kMinute = 60;
const kHour = 3600;
const kDay = 86400;
const kTimes = [1, 2, 5, 10, 20, 30, kMinute, 2 * kMinute, 5 * kMinute, 10 * kMinute, 20 * kMinute,
                30 * kMinute, kHour, 2 * kHour, 3 * kHour, 6 * kHour, 12 * kHour, kDay, 2 * kDay,
                4 * kDay, 7 * kDay, 14 * kDay, 30 * kDay, 60 * kDay, 120 * kDay, 365 * kDay];

/** Round times from 0 to `most` seconds, about `wanted` of them. */
export function timeTicks(most, wanted) {
  if (most < 5) return d3.ticks(0, most, wanted);
  const step = kTimes.find((time) => most / time <= wanted + 1);
  return step ? d3.range(0, most * (1 + 1e-9), step) : d3.ticks(0, most, wanted);
}

/** Of `ticks`, in order, those that stand at least `gap` pixels apart. */
export function spacedTicks(ticks, scale, gap) {
  let last = -Infinity;
  return ticks.filter((tick) => {
    if (scale(tick) - last < gap) return false;
    last = scale(tick);
    return true;
  });
}

function within([least, most], values) {
  return values.filter((value) => value >= least && value <= most);
}

/** Round times of a logarithmic scale. */
export function logTimeTicks(domain) {
  return within(domain, [...decimals([1]).filter((time) => time < 1), ...kTimes]);
}

/** 1, 2, 5, 10, ... of a logarithmic scale. */
export function logTicks(domain) {
  return within(domain, decimals([1, 2, 5]));
}

function decimals(digits) {
  return d3.range(-9, 9).flatMap((power) => digits.map((digit) => digit * 10 ** power));
}
