import { render } from 'preact';
import { App } from './app.jsx';
import './style/style.css';

render(<App />, document.getElementById('app'));
