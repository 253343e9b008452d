// Places the labels of points so that none covers another, nor anything else that is taken.

const kGap = 5;
// Right, left, above, below, then the corners, near first; a far label gets a line to its point.
const kSides = [[1, 0], [-1, 0], [0, -1], [0, 1], [1, -1], [1, 1], [-1, -1], [-1, 1]];
const kDistances = [0, 12, 26, 42];
const kLeaderFrom = 12;

function overlap(a, b) {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

function inside(box, bounds) {
  return box.x >= bounds.x && box.y >= bounds.y && box.x + box.width <= bounds.x + bounds.width
      && box.y + box.height <= bounds.y + bounds.height;
}

function boxAt(item, [sideX, sideY], distance) {
  const away = item.radius + kGap + distance;
  const scale = sideX && sideY ? Math.SQRT1_2 : 1;
  const x = item.x + sideX * away * scale - (sideX < 0 ? item.width : sideX ? 0 : item.width / 2);
  const y = item.y + sideY * away * scale - (sideY < 0 ? item.height : sideY ? 0 : item.height / 2);
  return {x, y, width: item.width, height: item.height};
}

/**
 * `items` of {x, y, radius, width, height, reach}, the most important first; `reach` is how far a
 * label may stand off. `taken` are boxes of points, lines and names. Gives for each item a box and
 * whether it needs a line, or null where there is no room.
 */
export function placeLabels(items, taken, bounds) {
  const boxes = [...taken];
  return items.map((item) => {
    for (const distance of kDistances.filter((d) => d <= item.reach)) {
      for (const side of kSides) {
        const box = boxAt(item, side, distance);
        if (!inside(box, bounds) || boxes.some((other) => overlap(box, other))) continue;
        boxes.push(box);
        return {...box, leader: distance >= kLeaderFrom};
      }
    }
    return null;
  });
}
