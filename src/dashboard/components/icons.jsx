// Line icons, 16 by 16, drawn with the text's colour. Decorative: what they mean is said in words
// or in the control's label.

function icon(shapes) {
    return () => (
        <svg
            class="icon"
            viewBox="0 0 16 16"
            width="16"
            height="16"
            fill="none"
            stroke="currentColor"
            stroke-width="1.5"
            stroke-linecap="round"
            stroke-linejoin="round"
            aria-hidden="true"
            focusable="false"
        >
            {shapes}
        </svg>
    );
}

export const StartIcon = icon(<path d="M5 3.2v9.6l7.5-4.8z" />);
export const StopIcon = icon(<rect x="4" y="4" width="8" height="8" rx="1" />);
export const RestartIcon = icon(
    <>
        <path d="M13 8a5 5 0 1 1-1.6-3.7" />
        <path d="M13.2 2.2v2.9h-2.9" />
    </>,
);
export const ClearIcon = icon(
    <>
        <path d="M3 4.5h10M6.5 4.5V3h3v1.5" />
        <path d="m4.5 4.5.6 8.5h5.8l.6-8.5" />
    </>,
);
export const EraseIcon = icon(
    <>
        <circle cx="8" cy="8" r="5.2" />
        <path d="m4.4 4.4 7.2 7.2" />
    </>,
);
export const LogIcon = icon(<path d="M3 4h10M3 7h10M3 10h7M3 13h4" />);
export const RefreshIcon = icon(
    <>
        <path d="M2.8 8a5.2 5.2 0 0 1 9-3.6L13.2 6" />
        <path d="M13.4 2.8V6h-3.2" />
        <path d="M13.2 8a5.2 5.2 0 0 1-9 3.6L2.8 10" />
        <path d="M2.6 13.2V10h3.2" />
    </>,
);
export const SearchIcon = icon(
    <>
        <circle cx="7" cy="7" r="4" />
        <path d="m10.2 10.2 3 3" />
    </>,
);
export const CloseIcon = icon(<path d="m4 4 8 8M12 4l-8 8" />);
export const DownloadIcon = icon(<path d="M8 2.5v7.5M5 7.2l3 3 3-3M3 13h10" />);
export const PauseIcon = icon(<path d="M5.5 3.5v9M10.5 3.5v9" />);
export const WrapIcon = icon(
    <>
        <path d="M2.5 4h11M2.5 8h8.8a2 2 0 0 1 0 4H8.5" />
        <path d="m10 10.4-1.8 1.6 1.8 1.6M2.5 12h3" />
    </>,
);
export const UserIcon = icon(
    <>
        <circle cx="8" cy="5.5" r="2.5" />
        <path d="M3 13.2c.6-2.4 2.6-3.4 5-3.4s4.4 1 5 3.4" />
    </>,
);
export const LeaveIcon = icon(
    <>
        <path d="M6.5 2.8H3.2v10.4h3.3M10.3 5.2 13 8l-2.7 2.8M13 8H6.5" />
    </>,
);
export const AutoIcon = icon(
    <>
        <circle cx="8" cy="8" r="5.2" />
        <path d="M8 2.8v10.4a5.2 5.2 0 0 0 0-10.4z" fill="currentColor" />
    </>,
);
export const LightIcon = icon(
    <>
        <circle cx="8" cy="8" r="2.8" />
        <path d="M8 1.5v1.3M8 13.2v1.3M1.5 8h1.3M13.2 8h1.3M3.4 3.4l.9.9M11.7 11.7l.9.9M12.6 3.4l-.9.9M4.3 11.7l-.9.9" />
    </>,
);
export const DarkIcon = icon(
    <path d="M13.2 9.6A5.6 5.6 0 0 1 6.4 2.8a5.6 5.6 0 1 0 6.8 6.8z" />,
);
export const WarnIcon = icon(
    <>
        <path d="M8 2.3 14.3 13H1.7z" />
        <path d="M8 6.5v3M8 11.3v.1" />
    </>,
);
export const MoreIcon = icon(
    <>
        <path d="M3 8v.1M8 8v.1M13 8v.1" stroke-width="2.2" />
    </>,
);
export const SignalIcon = icon(<path d="M9 1.8 3.8 9h3.9L7 14.2 12.2 7H8.3z" />);
export const KeyboardIcon = icon(<path d="M2.5 4.5 6 8l-3.5 3.5M7.5 12h6" />);
export const CheckIcon = icon(
    <>
        <path d="M1.8 8h3l1.8-4.2 2.8 8.4L11.2 8h3" />
    </>,
);
export const ManyIcon = icon(
    <>
        <path d="M2.8 4.2 4 5.4l2-2.4M2.8 11.2 4 12.4l2-2.4M8.5 4.5h5M8.5 11.5h5" />
    </>,
);
export const EditIcon = icon(<path d="m10.8 2.8 2.4 2.4L5.6 12.8l-3 .6.6-3z" />);
export const AddIcon = icon(<path d="M8 3v10M3 8h10" />);
export const PowerIcon = icon(
    <>
        <path d="M8 2v5.5" />
        <path d="M4.6 4.2a5 5 0 1 0 6.8 0" />
    </>,
);
export const NextIcon = icon(<path d="m6 3.5 4.5 4.5L6 12.5" />);
export const PreviousIcon = icon(<path d="M10 3.5 5.5 8l4.5 4.5" />);

// State marks: a shape of its own for each, so that they differ without colour.
const marks = {
    disc: <circle cx="6" cy="6" r="4.5" fill="currentColor" />,
    cross: (
        <>
            <path
                d="M3.7.8h4.6l2.9 2.9v4.6l-2.9 2.9H3.7L.8 8.3V3.7z"
                fill="currentColor"
            />
            <path d="m4 4 4 4M8 4 4 8" class="mark-cut" />
        </>
    ),
    triangle: (
        <>
            <path d="M6 .8 11.6 10.8H.4z" fill="currentColor" />
            <path d="M6 4.3v3M6 9v.1" class="mark-cut" />
        </>
    ),
    question: (
        <>
            <rect x=".8" y=".8" width="10.4" height="10.4" rx="2.5" fill="currentColor" />
            <path
                d="M4.5 4.6C4.6 2.8 7.5 2.9 7.4 4.6 7.3 5.7 6 5.7 6 7M6 9v.1"
                class="mark-cut"
            />
        </>
    ),
    exit: (
        <>
            <path
                d="M6 .9 11.1 6 6 11.1.9 6z"
                fill="none"
                stroke="currentColor"
                stroke-width="1.6"
                stroke-linejoin="round"
            />
            <path d="M6 4v4" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" />
        </>
    ),
    half: (
        <>
            <circle cx="6" cy="6" r="4.4" fill="none" stroke="currentColor" stroke-width="1.5" />
            <path d="M6 1.6a4.4 4.4 0 0 1 0 8.8z" fill="currentColor" />
        </>
    ),
    square: (
        <rect
            x="2"
            y="2"
            width="8"
            height="8"
            rx="1"
            fill="none"
            stroke="currentColor"
            stroke-width="1.6"
        />
    ),
    dash: <path d="M2 6h8" stroke="currentColor" stroke-width="2" stroke-linecap="round" />,
};

export function Mark({ shape }) {
    return (
        <svg
            class="mark"
            viewBox="0 0 12 12"
            width="12"
            height="12"
            aria-hidden="true"
            focusable="false"
        >
            {marks[shape]}
        </svg>
    );
}

export function Logo() {
    return (
        <svg
            class="logo"
            viewBox="0 0 24 24"
            width="22"
            height="22"
            aria-hidden="true"
            focusable="false"
        >
            <path
                d="M12 12 5.5 6.5M12 12l6.5-5.5M12 12v7.5"
                stroke="currentColor"
                stroke-width="1.6"
            />
            <circle cx="12" cy="12" r="3.8" class="logo-hub" />
            <circle cx="5.5" cy="6.3" r="2.3" class="logo-good" />
            <circle cx="18.5" cy="6.3" r="2.3" class="logo-good" />
            <circle cx="12" cy="20" r="2.3" class="logo-fail" />
        </svg>
    );
}
