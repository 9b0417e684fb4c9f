// A cursor over every picture of the same timeline; the numbers come from the table below them.
'use strict';
for (const group of document.querySelectorAll('[data-timeline]')) {
  const table = group.querySelector('table');
  const areas = [...group.querySelectorAll('.area[data-columns]')];
  if (!table || !areas.length) continue;
  const names = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
  const rows = [...table.tBodies[0].rows];
  const starts = rows.map((row) => Number(row.dataset.at));
  const end = Number(group.dataset.timeline);
  const marks = areas.map((area) => {
    const cursor = area.appendChild(document.createElement('div'));
    const tip = area.appendChild(document.createElement('div'));
    cursor.className = 'cursor';
    tip.className = 'tip';
    cursor.hidden = tip.hidden = true;
    return { area, cursor, tip, columns: area.dataset.columns.split(',').map(Number) };
  });
  const line = (name, value) => {
    const div = document.createElement('div');
    div.append(name, Object.assign(document.createElement('b'), { textContent: value }));
    return div;
  };
  const show = (event, over) => {
    const box = over.getBoundingClientRect();
    const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    let index = starts.findLastIndex((start) => start <= share * end);
    index = Math.max(0, index);
    for (const { area, cursor, tip, columns } of marks) {
      cursor.hidden = false;
      cursor.style.left = `${share * 100}%`;
      tip.hidden = area !== over;
      if (tip.hidden) continue;
      const cells = rows[index].cells;
      const title = Object.assign(document.createElement('b'), { textContent: cells[0].textContent });
      tip.replaceChildren(title, ...columns.map((column) => line(names[column], cells[column].textContent)));
      tip.style.left = share < 0.6 ? `calc(${share * 100}% + 12px)` : 'auto';
      tip.style.right = share < 0.6 ? 'auto' : `calc(${(1 - share) * 100}% + 12px)`;
    }
  };
  const hide = () => marks.forEach(({ cursor, tip }) => { cursor.hidden = tip.hidden = true; });
  for (const { area } of marks) {
    area.addEventListener('pointermove', (event) => show(event, area));
    area.addEventListener('pointerdown', (event) => show(event, area));
    area.addEventListener('pointerleave', hide);
  }
}
