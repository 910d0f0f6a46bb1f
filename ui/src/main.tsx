import { render } from 'preact';
import { App } from './app.tsx';
import './styles/base.css';
import './styles/frame.css';
import './styles/controls.css';
import './styles/parts.css';
import './styles/tables.css';
import './styles/lists.css';
import './styles/pictures.css';

render(<App />, document.getElementById('app') ?? document.body);
