/* The workbench in JupyterLab, in plain JavaScript: what Lab loads is this file, so that nothing has to be built.
 * It is a module federation container: Lab calls init() with the modules it shares, then get() for our plugin. */
(() => {
  'use strict';
  const NAME = 'workbench';
  let scope = {};
  let words = {};

  /* Say a label in the language of the server, which has the catalogue: it finds them here as literals. */
  const t = text => words[text] ?? text;

  async function shared(name) {
    const order = text => text.split(/[.-]/).map(Number);
    const newest = (a, b) => order(a).map((n, i) => n - (order(b)[i] ?? 0)).find(d => d) ?? 0;
    const version = Object.keys(scope[name] ?? {}).sort(newest).pop();
    if (!version) throw new Error(`JupyterLab does not share ${name}: the panel needs JupyterLab 4`);
    return (await scope[name][version].get())();
  }

  async function plugin() {
    const [application, apputils, coreutils, launcher, services, ui, widgets] = await Promise.all(
      ['@jupyterlab/application', '@jupyterlab/apputils', '@jupyterlab/coreutils', '@jupyterlab/launcher',
        '@jupyterlab/services', '@jupyterlab/ui-components', '@lumino/widgets'].map(shared));
    const lab = { ...apputils, ...coreutils, ...services, ...ui, ...widgets };
    return {
      id: `${NAME}:panel`,
      autoStart: true,
      optional: [launcher.ILauncher, apputils.ICommandPalette, application.ILayoutRestorer],
      activate: (app, launch, palette, restorer) => activate(app, lab, launch, palette, restorer)
    };
  }

  /* Ask the server; refusals come back as {errors: {field: message}}, anything else that fails is thrown. */
  async function ask(lab, path, body) {
    const settings = lab.ServerConnection.makeSettings();
    const init = body ? { method: 'POST', body: JSON.stringify(body) } : {};
    const response = await lab.ServerConnection.makeRequest(lab.URLExt.join(settings.baseUrl, path), init, settings);
    if (!response.ok && response.status !== 400) throw new lab.ServerConnection.ResponseError(response);
    return response.json();
  }

  /* Make an element; text is always text, never markup. */
  function make(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith('on')) node.addEventListener(key.slice(2), value);
      else if (value !== undefined && value !== false) node.setAttribute(key, value === true ? '' : value);
    }
    node.append(...children);
    return node;
  }

  const button = (text, onclick, kind = '') => make('button', { class: `jp-mod-styled ${kind}`, type: 'button', onclick }, text);

  async function activate(app, lab, launch, palette, restorer) {
    words = await ask(lab, 'workbench/words').catch(() => ({}));
    document.head.append(make('style', {}, STYLE));
    const open = path => app.commands.execute('docmanager:open', { path });
    const page = (path, label) => {
      const base = lab.PageConfig.getBaseUrl();
      const frame = new lab.IFrame({ referrerPolicy: 'same-origin',
        sandbox: ['allow-same-origin', 'allow-popups', 'allow-downloads'] });
      frame.url = lab.URLExt.join(base, 'workbench/site', lab.URLExt.encodeParts(path)) + `?at=${Date.now()}`;
      const shown = new lab.MainAreaWidget({ content: frame });
      shown.title.label = label;
      shown.title.closable = true;
      app.shell.add(shown, 'main');
      app.shell.activateById(shown.id);
    };
    const tracker = new lab.WidgetTracker({ namespace: NAME });
    let panel = null;

    function show(study) {
      if (!panel || panel.isDisposed) {
        const content = new lab.Widget();
        content.addClass('wb-panel');
        content.node.lang = words[''] ?? 'en';
        panel = new lab.MainAreaWidget({ content });
        panel.id = 'workbench-studies';
        panel.title.label = t('Studies');
        panel.title.icon = lab.listIcon;
        panel.title.closable = true;
        tracker.add(panel);
      }
      if (!panel.isAttached) app.shell.add(panel, 'main');
      app.shell.activateById(panel.id);
      return fill(panel.content.node, study).catch(error => lab.showErrorMessage(t('Studies'), error));
    }

    async function fill(node, wanted) {
      const { studies } = await ask(lab, 'workbench/studies');
      const chosen = studies.find(study => study.name === wanted);
      node.replaceChildren(...(chosen ? form(chosen) : list(studies)));
      node.querySelector('input, select, button')?.focus();
    }

    function list(studies) {
      const row = study => make('section', { class: 'wb-study', 'data-study': study.name },
        make('h2', {}, study.title), make('p', { class: 'wb-name' }, study.notebook),
        make('p', { class: study.error || study.report.error ? 'wb-error' : '' },
          study.error || study.report.error || study.report.headline || t('No report with the standard parameters yet.')),
        make('p', {},
          ...(study.error ? [] : [button(t('Run…'), () => show(study.name), 'jp-mod-accept')]),
          button(t('Open the notebook'), () => open(study.notebook)),
          ...(study.report.headline ? [button(t('Open the report'), () => page(study.page, study.title))] : [])));
      const empty = make('p', {}, t('There is no study yet.'));
      return [make('h1', {}, t('Studies')),
        make('p', {}, t('Each is a notebook. Open one to work in it, or run it with parameters of your own: its report is then published like every other.')),
        make('p', {}, button(t('New study…'), () => app.commands.execute('workbench:new')),
          button(t('All reports'), () => page('index.html', t('Reports'))),
          button(t('Refresh'), () => show())), ...(studies.length ? studies.map(row) : [empty])];
    }

    const options = (choices, chosen) =>
      choices.map(([value, text]) => make('option', { value, selected: value === chosen }, text));

    const given = (study, fields) => Object.fromEntries(study.parameters.map(p => [p.name, fields.elements[p.name].value]));

    /* Let a field choose among what the warehouse has; give whether its value had to change. */
    function offer(fields, name, choices) {
      const old = fields.elements[name], values = choices.map(([value]) => value);
      if (old.tagName === 'SELECT' && [...old.options].map(o => o.value).join('\n') === values.join('\n')) return false;
      const value = values.includes(old.value) ? old.value : values[0];
      const input = make('select', { id: old.id, name, class: old.className, 'aria-describedby': old.getAttribute('aria-describedby') },
        ...options(choices, value));
      const focused = document.activeElement === old;
      old.replaceWith(input);
      if (focused) input.focus();
      return value !== old.value;
    }

    /* Ask the server what may be chosen and what is wrong, now that a field has changed; the last question counts. */
    let asked = 0;
    async function check(study, fields) {
      const mine = ++asked;
      const { errors, choices } = await ask(lab, 'workbench/checks', { study: study.name, parameters: given(study, fields) });
      if (mine !== asked || !fields.isConnected) return;
      const moved = Object.entries(choices ?? {}).map(([name, of]) => offer(fields, name, of)).some(Boolean);
      if (moved) return check(study, fields);
      for (const p of study.parameters)
        fields.querySelector(`[id="wb-${CSS.escape(p.name)}-error"]`).textContent = errors[p.name] ?? '';
    }

    function field(parameter) {
      const id = `wb-${parameter.name}`;
      const common = { id, name: parameter.name, class: 'jp-mod-styled', 'aria-describedby': `${id}-help ${id}-error` };
      const choices = parameter.type === 'bool' ? [['true', t('yes')], ['false', t('no')]] : parameter.choices;
      const standard = parameter.type === 'bool' ? parameter.default.toLowerCase() : parameter.default;
      const input = choices.length
        ? make('select', common, ...options(choices, standard))
        : make('input', { ...common, value: standard, type: parameter.type === 'date' ? 'date' : 'text', autocomplete: 'off' });
      return make('div', { class: 'wb-field' }, make('label', { for: id }, parameter.label), input,
        make('small', { id: `${id}-help` }, [parameter.unit, parameter.meaning].filter(Boolean).join(t(': '))),
        make('small', { id: `${id}-error`, class: 'wb-error', role: 'alert' }));
    }

    function form(study) {
      const said = make('div', { class: 'wb-said', role: 'status' });
      const start = make('button', { class: 'jp-mod-styled jp-mod-accept', type: 'submit' }, t('Run'));
      const fields = make('form', {
        novalidate: true,
        onchange: () => check(study, fields).catch(() => {}),
        onsubmit: event => {
          event.preventDefault();
          start.disabled = true;
          run(study, fields, said).catch(error => said.replaceChildren(failure(String(error.message ?? error))))
            .finally(() => { start.disabled = false; });
        }
      }, ...study.parameters.map(field), make('p', {}, start, button(t('Open the notebook'), () => open(study.notebook)),
        button(t('All studies'), () => show()), button(t('Jobs'), () => app.commands.execute('scheduling:list-jobs-from-launcher'))));
      setTimeout(() => check(study, fields).catch(() => {}));
      return [make('h1', {}, study.title), make('p', { class: 'wb-name' }, study.notebook), fields, said];
    }

    const failure = text => make('p', { class: 'wb-error' }, text);

    async function run(study, fields, said) {
      said.replaceChildren();
      for (const node of fields.querySelectorAll('.wb-error')) node.textContent = '';
      const made = await ask(lab, 'workbench/runs', { study: study.name, parameters: given(study, fields) });
      for (const [name, message] of Object.entries(made.errors ?? {})) {
        const place = fields.querySelector(`[id="wb-${CSS.escape(name)}-error"]`);
        if (place) place.textContent = message;
        else said.append(failure(message));
      }
      if (!made.job) return;
      const began = Date.now();
      let job;
      do {
        said.replaceChildren(t('Running for # s. You may leave: the job goes on, see Jobs.')
          .replace('#', Math.round((Date.now() - began) / 1000)));
        await new Promise(done => setTimeout(done, 700));
        job = await ask(lab, `scheduler/jobs/${made.job}`);
      } while (!['COMPLETED', 'FAILED', 'STOPPED'].includes(job.status) && fields.isConnected);
      if (job.status === 'COMPLETED') {
        said.replaceChildren(make('p', { class: 'wb-answer' }, job.status_message ?? ''),
          button(t('Open the report'), () => page(made.page, study.title), 'jp-mod-accept'));
      } else said.replaceChildren(failure(job.status_message ?? t('The job was stopped.')));
    }

    app.commands.addCommand('workbench:studies', {
      label: t('Studies'), caption: t('All studies and their reports'), icon: lab.listIcon, execute: () => show()
    });
    app.commands.addCommand('workbench:run', {
      label: t('Run a study'), caption: t('A study with parameters of your own, as a report'), icon: lab.runIcon,
      execute: () => {
        const path = app.shell.currentWidget?.context?.path ?? '';
        return show(path.match(/^notebooks\/([^/]+)\.ipynb$/)?.[1]);
      }
    });
    app.commands.addCommand('workbench:new', {
      label: t('New study'), caption: t('A notebook that already runs, to be changed'), icon: lab.addIcon,
      execute: async () => {
        const asked = await lab.InputDialog.getText({ title: t('New study'), label: t('Name, such as late_payers'), okLabel: t('Make') });
        if (!asked.button.accept || !asked.value) return;
        const made = await ask(lab, 'workbench/studies', { name: asked.value });
        return made.errors ? lab.showErrorMessage(t('New study'), made.errors['']) : open(made.notebook);
      }
    });
    ['workbench:studies', 'workbench:run', 'workbench:new'].forEach((command, rank) => {
      palette?.addItem({ command, category: 'Workbench' });
      launch?.add({ command, category: 'Workbench', rank });
    });
    restorer?.restore(tracker, { command: 'workbench:studies', name: () => 'studies' });
    app.restored.then(() => {
      const others = Array.from(app.shell.widgets('main')).filter(w => !/^launcher/.test(w.id));
      if (!others.length) show();
    });
  }

  const STYLE = `
    .wb-panel { overflow: auto; padding: 12px 24px; color: var(--jp-ui-font-color1); font-size: var(--jp-ui-font-size1);
      background: var(--jp-layout-color1); }
    .wb-panel h1 { font-size: 1.5em; } .wb-panel h2 { font-size: 1.15em; margin: 0; }
    .wb-panel p { max-width: 80ch; margin: 6px 0; } .wb-panel button { margin-right: 8px; }
    .wb-study { border-top: 1px solid var(--jp-border-color2); padding: 12px 0; }
    .wb-name, .wb-field small { color: var(--jp-ui-font-color2); }
    .wb-field { display: grid; grid-template-columns: 12em 20em 1fr; gap: 4px 12px; align-items: center; margin: 6px 0; }
    .wb-field select { appearance: auto; } .wb-field label { font-weight: 600; } .wb-field .wb-error { grid-column: 2 / -1; } .wb-field .wb-error:empty { display: none; }
    .wb-panel .wb-error { color: var(--jp-error-color1); white-space: pre-line; }
    .wb-answer { font-size: 1.15em; border-left: 4px solid var(--jp-brand-color1); padding-left: 12px; }`;

  const container = {
    init: given => { scope = given; },
    get: async () => {
      const module = { __esModule: true, default: await plugin() };
      return () => module;
    }
  };
  (window._JUPYTERLAB ??= {})[NAME] = container;
})();
