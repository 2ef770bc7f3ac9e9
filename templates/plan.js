(() => {
  "use strict";
  const at = (id) => document.getElementById(id);
  const { kinds, automations, rows } = JSON.parse(at("rows").textContent);
  const SIZE = 100;
  const body = at("list").tBodies[0];
  const number = (n) => n.toLocaleString("en");
  // A reason that was picked above the table: rows with this one alone.
  let reason = null;
  // What is searched of each row, made when it is first asked for.
  let words = null;
  let found = rows;
  let page = 0;
  // The column by which the rows are sorted, and which way; as they came where there is none.
  let sorted = { column: -1, way: 1 };

  const line = (row) => {
    const [kind, contact, automation, reason, place] = row;
    const cells = [kinds[kind], contact, automations[automation], reason, place];
    const id = (text) => [...text].length > 40 ? "id long" : "id";
    const classes = ["kind is-" + kinds[kind].replace(" ", "-"), id(contact), id(cells[2]), "", id(place) + " dim"];
    const tr = document.createElement("tr");
    cells.forEach((text, i) => {
      const td = tr.insertCell();
      td.textContent = text;
      td.className = classes[i];
    });
    return tr;
  };

  const show = () => {
    const pages = Math.max(1, Math.ceil(found.length / SIZE));
    page = Math.min(Math.max(page, 0), pages - 1);
    const from = page * SIZE;
    const part = found.slice(from, from + SIZE);
    body.replaceChildren(...part.map(line));
    const all = found.length === rows.length ? "" : " found, of " + number(rows.length) + " in all";
    at("shown").textContent = found.length === 0
      ? "Nothing found, of " + number(rows.length) + " rows."
      : "Rows " + number(from + 1) + " to " + number(from + part.length) + " of " + number(found.length) + all;
    at("back").disabled = page === 0;
    at("next").disabled = page === pages - 1;
    at("page").value = page + 1;
    at("page").max = pages;
    at("pages").textContent = "of " + number(pages);
  };

  const find = () => {
    const text = at("text").value.trim().toLowerCase();
    const kind = at("kind").selectedIndex - 1;
    const automation = at("automation").selectedIndex - 1;
    if (text !== "" && reason === null && words === null) {
      words = rows.map((row) => (row[1] + "\n" + automations[row[2]] + "\n" + row[3] + "\n" + row[4]).toLowerCase());
    }
    found = text === "" && kind < 0 && automation < 0 ? rows : rows.filter((row, i) =>
      (kind < 0 || row[0] === kind) &&
      (automation < 0 || row[2] === automation) &&
      (reason !== null ? row[3] === reason : text === "" || words[i].includes(text)));
    if (sorted.column >= 0) {
      const { column, way } = sorted;
      // Kinds and automations stand in their lists in order; what is alike stays as it was.
      found = [...found].sort((a, b) => a[column] < b[column] ? -way : a[column] > b[column] ? way : 0);
    }
    page = 0;
    show();
  };

  for (const name of automations) {
    at("automation").add(new Option(name));
  }
  let waiting = 0;
  at("text").addEventListener("input", () => {
    reason = null;
    clearTimeout(waiting);
    waiting = setTimeout(find, 150);
  });
  at("kind").addEventListener("change", find);
  at("automation").addEventListener("change", find);
  const turn = (to) => {
    const button = document.activeElement;
    page = to;
    show();
    // At the last page, and at the first, the keyboard goes on from the button that is left.
    if (button.disabled) {
      at(button.id === "next" ? "back" : "next").focus();
    }
    at("list").scrollIntoView();
  };
  at("back").addEventListener("click", () => turn(page - 1));
  at("next").addEventListener("click", () => turn(page + 1));
  at("page").addEventListener("change", () => turn(Math.trunc(Number(at("page").value)) - 1 || 0));
  // A reason above the table shows its rows.
  for (const cell of document.querySelectorAll(".groups .why")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "pick";
    button.textContent = cell.textContent;
    button.addEventListener("click", () => {
      const row = cell.parentElement;
      reason = cell.textContent;
      at("text").value = reason;
      at("kind").value = row.cells[0].textContent;
      at("automation").value = row.parentElement.rows[0].textContent;
      find();
      at("actions").scrollIntoView();
    });
    cell.replaceChildren(button);
  }
  // The headings sort. The keyboard reaches them as one, and goes along them by arrows.
  const heads = [...at("list").tHead.rows[0].cells];
  const buttons = heads.map((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.textContent = head.textContent;
    button.tabIndex = column === 0 ? 0 : -1;
    head.setAttribute("aria-sort", "none");
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      sorted = { column, way: sorted.column === column ? -sorted.way : 1 };
      heads.forEach((other, i) => other.setAttribute("aria-sort",
        i !== column ? "none" : sorted.way > 0 ? "ascending" : "descending"));
      find();
    });
    button.addEventListener("keydown", (event) => {
      const to = column + ({ ArrowRight: 1, ArrowLeft: -1 }[event.key] || 0);
      if (to !== column && buttons[to]) {
        button.tabIndex = -1;
        buttons[to].tabIndex = 0;
        buttons[to].focus();
      }
    });
    return button;
  });
  at("find").hidden = false;
  at("pager").hidden = rows.length <= SIZE;
  show();
})();
