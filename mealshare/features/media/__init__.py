"""Pictures: uploads, their variants, who may see them; and the pictures of people."""

from __future__ import annotations

from datetime import timedelta

from pyramid.config import Configurator

from mealshare.features.media.settings import MAX_DESCRIPTION, MediaSettings

__all__ = ["MediaSettings", "includeme"]


def includeme(config: Configurator) -> None:
    """Wire the feature."""
    # Here, not above: models and queries of higher features import from this package, and need none of its faces.
    from mealshare.api import id_param
    from mealshare.core.jobs import Priority
    from mealshare.features.media import checks, delivery, doctor, jobs, rules, service, web
    from mealshare.features.media.resources import MediaItems

    settings = config.declare_settings(MediaSettings, prefix="media")
    delivery.install(config.registry, settings)
    config.add_rules(rules.RULES)
    config.add_check("pictures", doctor.check, doctor.repair)
    config.add_messages(checks.MESSAGES)
    config.add_api_tags(
        {"media": "Pictures: upload one, wait until it is ready, say what it shows, and name it in a meal."}
    )
    config.add_problems(checks.PROBLEMS)
    config.add_job(service.PROCESS, jobs.process)
    config.add_job(service.DELETE_FILES, jobs.delete_files, priority=Priority.LOW)
    config.add_job("media.sweep", jobs.sweep_leftovers, every=timedelta(hours=1), priority=Priority.LOW)
    for name, value in (
        ("media_bytes", settings.max_bytes),
        ("media_pixels", settings.max_pixels),
        ("media_per_meal", settings.per_post),
        ("media_types", settings.types),
        ("media_description", MAX_DESCRIPTION),
    ):
        config.add_instance_info(name, value)
    config.add_route("media.file", "/media/{key:[0-9a-f]{32}}/{edge:400|1600}.webp")
    config.add_route("avatar.file", "/avatars/{key:[0-9a-f]{32}}.webp")
    config.add_route("avatar.form", "/settings/avatar")
    config.add_api_route("api.media", "/api/media")
    config.add_api_route(
        "api.media.item",
        "/api/media/{id}",
        factory=MediaItems,
        traverse="/{id}",
        params={"id": id_param("The id of the picture.", "117653443951375596")},
    )
    config.add_api_route("api.user.avatar", "/api/user/avatar")
    avatar_form = "mealshare.features.media:templates/avatar_form.pt"
    config.add_slot("settings.profile", avatar_form, web.avatar_values, order=10)
    config.scan(".web")
    config.scan(".api")
