
(() => {
  'use strict';
  const controls = document.querySelector('.controls');
  const table = document.getElementById('host-table');
  if (!controls || !table) return;
  const input = document.getElementById('filter');
  const shown = document.getElementById('shown');
  const verdicts = Array.from(controls.querySelectorAll('input[name="verdict"]'));
  const format = new Intl.NumberFormat('en');
  const lower = (element) => element.textContent.toLowerCase();

  // Texts are gathered when they are first asked for.
  const hosts = Array.from(table.tBodies, (body, at) => ({ body, at, text: null }));
  const groups = Array.from(document.querySelectorAll('#findings details.group'), (group) => ({
    group,
    count: group.querySelector('.count'),
    rows: Array.from(group.querySelectorAll('tr[data-finding]'), (row) => ({ row, text: null })),
  }));
  const counts = groups.map(({ count }) => count.textContent);
  const findings = groups.reduce((sum, { rows }) => sum + rows.length, 0);

  const hide = (element, hidden) => { if (element.hidden !== hidden) element.hidden = hidden; };
  const of = (some, all, one, many) =>
    (some === all ? '' : format.format(some) + ' of ') + format.format(all) + ' ' + (all === 1 ? one : many);

  const filter = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    const verdict = verdicts.find((radio) => radio.checked)?.value ?? 'all';
    const matches = (text) => words.every((word) => text.includes(word));
    let seen = 0, found = 0;
    for (const host of hosts) {
      let fits = verdict === 'all' || host.body.dataset.verdict === verdict;
      if (fits && words.length) fits = matches(host.text ??= lower(host.body));
      hide(host.body, !fits);
      if (fits) seen += 1;
    }
    groups.forEach(({ group, count, rows }, at) => {
      const title = words.length ? lower(group.querySelector('summary')) : '';
      let here = 0;
      for (const one of rows) {
        const fits = !words.length || matches(title + ' ' + (one.text ??= lower(one.row)));
        hide(one.row, !fits);
        if (fits) here += 1;
      }
      hide(group, here === 0);
      count.textContent = here === rows.length ? counts[at] : format.format(here) + ' of ' + counts[at];
      found += here;
    });
    shown.value = of(seen, hosts.length, 'host', 'hosts') + ', ' + of(found, findings, 'finding', 'findings');
  };
  let waiting = 0;
  controls.addEventListener('input', () => {
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(filter);
  });

  // Sorting, by the columns' titles.
  const collator = new Intl.Collator('en', { numeric: true });
  const heads = Array.from(table.tHead.rows[0].cells);
  const key = (host, column, kind) => {
    const cell = host.body.rows[0].cells[column];
    return kind === 'number' ? Number(cell.dataset.key) : cell.textContent;
  };
  heads.forEach((head, column) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener('click', () => {
      const kind = head.dataset.sort;
      // The most findings first.
      const first = column === 2 ? 'descending' : 'ascending';
      const other = first === 'ascending' ? 'descending' : 'ascending';
      const order = head.getAttribute('aria-sort') === first ? other : first;
      for (const one of heads) one.removeAttribute('aria-sort');
      head.setAttribute('aria-sort', order);
      const sign = order === 'ascending' ? 1 : -1;
      const keyed = hosts.map((host) => ({ host, key: key(host, column, kind) }));
      const compare = kind === 'number' ? (a, b) => a - b : collator.compare;
      keyed.sort((a, b) => sign * compare(a.key, b.key) || a.host.at - b.host.at);
      const fragment = document.createDocumentFragment();
      for (const { host } of keyed) fragment.append(host.body);
      table.append(fragment);
    });
  });

  // Whoever follows a link to a host sees it, with all that is known of it.
  const reveal = () => {
    const body = document.getElementById(location.hash.slice(1));
    if (!body || body.parentNode !== table) return;
    if (body.hidden) {
      input.value = '';
      verdicts[0].checked = true;
      filter();
    }
    body.querySelector('details').open = true;
    body.scrollIntoView({ block: 'center' });
  };
  addEventListener('hashchange', reveal);

  controls.hidden = false;
  filter();
  reveal();
})();
