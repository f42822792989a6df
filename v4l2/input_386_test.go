package v4l2

const inputSize = 76
