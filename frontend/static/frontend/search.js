// Suggestions while typing a service's name: a combobox over a form that works without it.

const input = document.querySelector("[data-suggest]");

function setUp(field) {
  const list = document.createElement("ul");
  list.className = "suggestions";
  list.id = "suggestions";
  list.role = "listbox";
  list.setAttribute("aria-label", field.dataset.suggestLabel);
  list.hidden = true;
  field.after(list);
  field.role = "combobox";
  field.setAttribute("aria-expanded", "false");
  field.setAttribute("aria-controls", list.id);
  field.setAttribute("aria-autocomplete", "list");
  let active = -1;
  let latest = 0;

  const close = () => {
    list.hidden = true;
    active = -1;
    field.setAttribute("aria-expanded", "false");
    field.removeAttribute("aria-activedescendant");
  };

  const mark = (index) => {
    const options = [...list.children];
    if (!options.length) return;
    active = (index + options.length) % options.length;
    options.forEach((option, i) => option.setAttribute("aria-selected", String(i === active)));
    field.setAttribute("aria-activedescendant", options[active].id);
  };

  const show = (services) => {
    list.replaceChildren(...services.map((service, i) => {
      const option = document.createElement("li");
      const provider = document.createElement("span");
      option.id = `suggestion-${i}`;
      option.role = "option";
      option.dataset.href = service.href;
      option.setAttribute("aria-selected", "false");
      provider.className = "soft small";
      provider.textContent = service.detail;
      option.append(service.name, provider);
      return option;
    }));
    active = -1;
    list.hidden = services.length === 0;
    field.setAttribute("aria-expanded", String(services.length > 0));
  };

  field.addEventListener("input", async () => {
    const text = field.value.trim();
    const mine = ++latest;
    if (text.length < 2) return close();
    const answer = await fetch(`${field.dataset.suggest}?q=${encodeURIComponent(text)}`).catch(() => null);
    if (!answer?.ok || mine !== latest) return;
    show((await answer.json()).services);
  });
  field.addEventListener("keydown", (event) => {
    if (list.hidden) return;
    if (event.key === "ArrowDown") mark(active + 1);
    else if (event.key === "ArrowUp") mark(active < 0 ? -1 : active - 1);
    else if (event.key === "Escape") close();
    else if (event.key === "Enter" && active >= 0) location.assign(list.children[active].dataset.href);
    else return;
    event.preventDefault();
  });
  list.addEventListener("pointerdown", (event) => {
    const option = event.target.closest("[data-href]");
    if (option && event.button === 0) location.assign(option.dataset.href);
    event.preventDefault();
  });
  field.addEventListener("blur", close);
}

if (input) setUp(input);
