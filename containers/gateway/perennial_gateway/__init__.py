"""The gateway: the one door of every served model.

It answers predictions from a serving backend that users never reach, checks what comes in against the model's
schemas, and keeps every prediction and every label on disk before it answers. It imports nothing of `tasks`:
what it knows of a model came as a route, by `PUT /internal/routes/{model}`.
"""
